export * from './byteReader.js';
export * from './byteWriter.js';
export * from './bytes.js';
export * from './hex.js';
export * from './rivuletError.js';
