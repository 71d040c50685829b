/**
 * Everything that Rivulet asks of secp256k1, so that the curve's implementation can be swapped.
 * Private keys, tweaks and hashes are 32 bytes big endian; public keys are 33 bytes compressed;
 * signatures are 64 bytes compact (r, s). Functions throw CryptoError on a malformed or impossible
 * argument and never return an invalid key.
 */
export interface Secp256k1 {
  /** `native` is libsecp256k1, `wasm` its WebAssembly build, `noble` plain JavaScript. */
  readonly name: 'native' | 'wasm' | 'noble';
  isPrivateKey(privateKey: Uint8Array): boolean;
  /** Whether these are 33 bytes that encode a point on the curve. */
  isPublicKey(publicKey: Uint8Array): boolean;
  publicKey(privateKey: Uint8Array): Uint8Array;
  privateKeyAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyMultiply(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyNegate(privateKey: Uint8Array): Uint8Array;
  /** The sum of public keys. */
  publicKeyCombine(publicKeys: readonly Uint8Array[]): Uint8Array;
  /** publicKey + tweak·G */
  publicKeyAdd(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  /** tweak·publicKey */
  publicKeyMultiply(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  /** sha256 of the compressed shared point: the ECDH of BOLT 4 and BOLT 8. */
  ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array;
  /** Deterministic (RFC 6979) ECDSA, low S. */
  sign(hash: Uint8Array, privateKey: Uint8Array): Uint8Array;
  /** Verifies ECDSA; a high S is invalid. False, never an exception, for malformed input. */
  verify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean;
  signRecoverable(hash: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recovery: number };
  /** The key that made a signature, of low or high S; `recovery` is from 0 to 3. */
  recover(signature: Uint8Array, recovery: number, hash: Uint8Array): Uint8Array;
  /** BIP 340 signature; `auxiliary` is 32 bytes of randomness or zeros. */
  signSchnorr(hash: Uint8Array, privateKey: Uint8Array, auxiliary: Uint8Array): Uint8Array;
  verifySchnorr(signature: Uint8Array, hash: Uint8Array, xOnlyPublicKey: Uint8Array): boolean;
}
