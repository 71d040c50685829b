import { equalBytes } from '../bytes/bytes.js';
import { hexToBytes } from '../bytes/hex.js';
import { CryptoError } from './cryptoError.js';
import { loadNativeBackend } from './nativeBackend.js';
import { nobleBackend } from './nobleBackend.js';
import { setPublicCurve } from './publicCurve.js';
import type { Secp256k1 } from './secp256k1.js';
import { loadWasmBackend } from './wasmBackend.js';

type BackendName = Secp256k1['name'];

const loaders: readonly { name: BackendName; load: () => Promise<Secp256k1> }[] = [
  { name: 'native', load: loadNativeBackend },
  { name: 'wasm', load: loadWasmBackend },
  { name: 'noble', load: async () => nobleBackend },
];

let active: Secp256k1 = nobleBackend;

// BOLT 8 appendix A: the keys of the initiator and their first shared secret.
const knownPrivateKey = new Uint8Array(32).fill(0x12);
const knownPublicKey = hexToBytes('036360e856310ce5d294e8be33fc807077dc56ac80d95d9cd4ddbd21325eff73f7');
const knownRemoteKey = hexToBytes('028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7');
const knownSecret = hexToBytes('1e2fb3c8fe8fb9f262f649f64d26ecf0f2c0a805a767cf02dc2d77a6ef1fdcc3');

/** A backend that loads but computes wrongly would lose money: it must show what it can first. */
function selfTest(backend: Secp256k1): void {
  const signature = backend.sign(knownSecret, knownPrivateKey);
  const passed =
    equalBytes(backend.publicKey(knownPrivateKey), knownPublicKey) &&
    equalBytes(backend.ecdh(knownRemoteKey, knownPrivateKey), knownSecret) &&
    backend.verify(signature, knownSecret, knownPublicKey) &&
    !backend.verify(signature, knownSecret, knownRemoteKey);
  if (!passed) {
    throw new CryptoError(
      'backend_unusable',
      `the ${backend.name} curve implementation failed its self-test`,
    );
  }
}

/**
 * Picks the fastest implementation of the curve that loads here: native, else WebAssembly, else plain
 * JavaScript. `prefer` starts the search further down. Until this resolves, plain JavaScript serves.
 */
export async function initCrypto(options: { prefer?: BackendName } = {}): Promise<BackendName> {
  const first = loaders.findIndex(({ name }) => name === (options.prefer ?? 'native'));
  for (const { load } of loaders.slice(first)) {
    try {
      const backend = await load();
      selfTest(backend);
      active = backend;
      setPublicCurve(backend);
      break;
    } catch {
      // Not on this machine: the next one.
    }
  }
  return active.name;
}

/** Which implementation of the curve is in use. */
export function activeBackendName(): BackendName {
  return active.name;
}

/** The curve: delegates to the implementation that `initCrypto` picked. */
export const secp256k1: Secp256k1 = {
  get name() {
    return active.name;
  },
  isPrivateKey: (privateKey) => active.isPrivateKey(privateKey),
  isPublicKey: (publicKey) => active.isPublicKey(publicKey),
  publicKey: (privateKey) => active.publicKey(privateKey),
  privateKeyAdd: (privateKey, tweak) => active.privateKeyAdd(privateKey, tweak),
  privateKeyMultiply: (privateKey, tweak) => active.privateKeyMultiply(privateKey, tweak),
  privateKeyNegate: (privateKey) => active.privateKeyNegate(privateKey),
  publicKeyCombine: (publicKeys) => active.publicKeyCombine(publicKeys),
  publicKeyAdd: (publicKey, tweak) => active.publicKeyAdd(publicKey, tweak),
  publicKeyMultiply: (publicKey, tweak) => active.publicKeyMultiply(publicKey, tweak),
  ecdh: (publicKey, privateKey) => active.ecdh(publicKey, privateKey),
  sign: (hash, privateKey) => active.sign(hash, privateKey),
  verify: (signature, hash, publicKey) => active.verify(signature, hash, publicKey),
  signRecoverable: (hash, privateKey) => active.signRecoverable(hash, privateKey),
  recover: (signature, recovery, hash) => active.recover(signature, recovery, hash),
  signSchnorr: (hash, privateKey, auxiliary) => active.signSchnorr(hash, privateKey, auxiliary),
  verifySchnorr: (signature, hash, key) => active.verifySchnorr(signature, hash, key),
};
