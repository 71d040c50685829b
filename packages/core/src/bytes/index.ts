export * from './bigsize.js';
export * from './byteReader.js';
export * from './bytes.js';
export * from './byteWriter.js';
export * from './hex.js';
export * from './integers.js';
export * from './rivuletError.js';
