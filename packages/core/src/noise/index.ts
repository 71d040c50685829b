export * from './handshake.js';
export * from './noiseError.js';
export * from './transportCipher.js';
