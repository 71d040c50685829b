export * from './activeBackend.js';
export * from './ciphers.js';
export * from './cryptoError.js';
export * from './hashes.js';
export { type PublicCurve, publicCurve } from './publicCurve.js';
export type * from './secp256k1.js';
export { type SymmetricCrypto, setSymmetricCrypto } from './symmetric.js';
