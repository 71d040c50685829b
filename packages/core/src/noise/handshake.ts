import { concatBytes } from '../bytes/bytes.js';
import { CryptoError, secp256k1 } from '../crypto/index.js';
import { NoiseError, type NoiseErrorCode } from './noiseError.js';
import { SymmetricState } from './symmetricState.js';
import { TransportCipher } from './transportCipher.js';

const empty = new Uint8Array();
const version = Uint8Array.of(0);
const shortActLength = 50;
const actThreeLength = 66;

export interface NoiseSession {
  readonly cipher: TransportCipher;
  /** The peer's node id, which it has proved to own. */
  readonly remotePublicKey: Uint8Array;
}

export interface HandshakeStep {
  /** What to send now; empty when there is nothing. */
  readonly send: Uint8Array;
  /** Once the handshake is done. */
  readonly session?: NoiseSession;
  /** Bytes after the handshake, if the chunk held any: the start of the session's input. */
  readonly rest: Uint8Array;
}

/**
 * One side of BOLT 8's handshake, for a driver that receives chunks of any size:
 * send what `start` returns, then feed `receive` until it returns a session.
 * After an error nothing more is accepted; BOLT 8 then wants the connection closed in silence.
 */
export interface Handshake {
  /** What to send before anything is received: act one from the initiator, nothing from the responder. */
  start(): Uint8Array;
  /** Takes the next bytes from the connection, of any number. @throws NoiseError */
  receive(chunk: Uint8Array): HandshakeStep;
  /** The connection ended before the handshake did: always throws NoiseError `act…_read_failed`. */
  end(): never;
}

interface ActResult {
  readonly send: Uint8Array;
  readonly session?: NoiseSession;
  readonly next?: Act;
}

interface Act {
  readonly number: 1 | 2 | 3;
  readonly length: number;
  run(message: Uint8Array): ActResult;
}

function actError(act: Act['number'], what: 'read_failed' | 'bad_version' | 'bad_pubkey'): NoiseError {
  const code: NoiseErrorCode = `act${act}_${what}`;
  const messages = {
    read_failed: 'the connection ended inside the act',
    bad_version: 'unknown handshake version',
    bad_pubkey: "the peer's key is not a point on the curve",
  };
  return new NoiseError(code, `handshake act ${act}: ${messages[what]}`);
}

function checkVersion(act: Act['number'], message: Uint8Array): void {
  // BOLT 8: clients MUST reject handshake attempts initiated with an unknown version
  if (message[0] !== 0) throw actError(act, 'bad_version');
}

function checkPublicKey(act: Act['number'], publicKey: Uint8Array): Uint8Array {
  if (!secp256k1.isPublicKey(publicKey)) throw actError(act, 'bad_pubkey');
  return publicKey;
}

function open(given: {
  state: SymmetricState;
  counter: 0 | 1;
  ciphertext: Uint8Array;
  code: NoiseErrorCode;
}) {
  const { state, counter, ciphertext, code } = given;
  try {
    return state.decrypt(counter, ciphertext);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new NoiseError(code, `handshake act ${code[3]}: the ${code.slice(9)} is not authentic`);
  }
}

/** Cuts the incoming bytes into acts; holds at most the bytes of one act. */
class HandshakeReader implements Handshake {
  #first: Uint8Array | undefined;
  #act: Act | undefined;
  #received: Uint8Array = empty;

  constructor(first: Uint8Array, act: Act) {
    this.#first = first;
    this.#act = act;
  }

  start(): Uint8Array {
    if (this.#first === undefined)
      throw new NoiseError('handshake_out_of_order', 'the handshake was started before');
    const first = this.#first;
    this.#first = undefined;
    return first;
  }

  receive(chunk: Uint8Array): HandshakeStep {
    let act = this.#act;
    if (act === undefined || this.#first !== undefined) {
      throw new NoiseError('handshake_out_of_order', 'the handshake has not started, is over or has failed');
    }
    const send: Uint8Array[] = [];
    let session: NoiseSession | undefined;
    let rest = chunk;
    while (act !== undefined) {
      const wanted = act.length - this.#received.length;
      this.#received = concatBytes(this.#received, rest.subarray(0, wanted));
      rest = rest.subarray(wanted);
      if (this.#received.length < act.length) break;
      const message = this.#received;
      this.#received = empty;
      // Whatever happens inside the act, its state cannot be used again.
      this.#act = undefined;
      const result: ActResult = act.run(message);
      send.push(result.send);
      session = result.session;
      act = result.next;
      this.#act = act;
    }
    return { send: concatBytes(...send), rest, ...(session === undefined ? {} : { session }) };
  }

  end(): never {
    const act = this.#act;
    this.#act = undefined;
    this.#received = empty;
    if (act === undefined)
      throw new NoiseError('handshake_out_of_order', 'the handshake is over or has failed');
    throw actError(act.number, 'read_failed');
  }
}

/**
 * The side that connects (BOLT 8). The ephemeral key must be fresh randomness for each connection.
 * @throws CryptoError when a key is invalid.
 */
export function createInitiator({
  staticPrivateKey,
  ephemeralPrivateKey,
  remotePublicKey,
}: {
  staticPrivateKey: Uint8Array;
  ephemeralPrivateKey: Uint8Array;
  remotePublicKey: Uint8Array;
}): Handshake {
  const state = new SymmetricState(remotePublicKey);
  const staticPublicKey = secp256k1.publicKey(staticPrivateKey);
  const ephemeralPublicKey = secp256k1.publicKey(ephemeralPrivateKey);

  // BOLT 8: act one, sender
  state.mixHash(ephemeralPublicKey);
  state.mixKey(secp256k1.ecdh(remotePublicKey, ephemeralPrivateKey));
  const actOne = concatBytes(version, ephemeralPublicKey, state.encrypt(0, empty));

  return new HandshakeReader(actOne, {
    number: 2,
    length: shortActLength,
    run(message) {
      // BOLT 8: act two, receiver
      checkVersion(2, message);
      const remoteEphemeralKey = checkPublicKey(2, message.subarray(1, 34));
      state.mixHash(remoteEphemeralKey);
      state.mixKey(secp256k1.ecdh(remoteEphemeralKey, ephemeralPrivateKey));
      open({ state, counter: 0, ciphertext: message.subarray(34), code: 'act2_bad_tag' });

      // BOLT 8: act three, sender
      const encryptedKey = state.encrypt(1, staticPublicKey);
      state.mixKey(secp256k1.ecdh(remoteEphemeralKey, staticPrivateKey));
      const tag = state.encrypt(0, empty);
      const { chainingKey, initiatorKey, responderKey } = state.split();
      const cipher = new TransportCipher({ chainingKey, sendKey: initiatorKey, receiveKey: responderKey });
      return { send: concatBytes(version, encryptedKey, tag), session: { cipher, remotePublicKey } };
    },
  });
}

/**
 * The side that was connected to (BOLT 8). The ephemeral key must be fresh randomness for each connection.
 * @throws CryptoError when a key is invalid.
 */
export function createResponder({
  staticPrivateKey,
  ephemeralPrivateKey,
}: {
  staticPrivateKey: Uint8Array;
  ephemeralPrivateKey: Uint8Array;
}): Handshake {
  const state = new SymmetricState(secp256k1.publicKey(staticPrivateKey));
  const ephemeralPublicKey = secp256k1.publicKey(ephemeralPrivateKey);

  const actThree: Act = {
    number: 3,
    length: actThreeLength,
    run(message) {
      // BOLT 8: act three, receiver
      checkVersion(3, message);
      const encryptedKey = message.subarray(1, 50);
      const opened = open({ state, counter: 1, ciphertext: encryptedKey, code: 'act3_bad_ciphertext' });
      const remotePublicKey = checkPublicKey(3, opened);
      state.mixKey(secp256k1.ecdh(remotePublicKey, ephemeralPrivateKey));
      open({ state, counter: 0, ciphertext: message.subarray(50), code: 'act3_bad_tag' });
      const { chainingKey, initiatorKey, responderKey } = state.split();
      const cipher = new TransportCipher({ chainingKey, sendKey: responderKey, receiveKey: initiatorKey });
      return { send: empty, session: { cipher, remotePublicKey } };
    },
  };

  return new HandshakeReader(empty, {
    number: 1,
    length: shortActLength,
    run(message) {
      // BOLT 8: act one, receiver
      checkVersion(1, message);
      const remoteEphemeralKey = checkPublicKey(1, message.subarray(1, 34));
      state.mixHash(remoteEphemeralKey);
      state.mixKey(secp256k1.ecdh(remoteEphemeralKey, staticPrivateKey));
      open({ state, counter: 0, ciphertext: message.subarray(34), code: 'act1_bad_tag' });

      // BOLT 8: act two, sender
      state.mixHash(ephemeralPublicKey);
      state.mixKey(secp256k1.ecdh(remoteEphemeralKey, ephemeralPrivateKey));
      return { send: concatBytes(version, ephemeralPublicKey, state.encrypt(0, empty)), next: actThree };
    },
  });
}
