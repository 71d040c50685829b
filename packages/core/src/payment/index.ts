export * from './keysend.js';
export * from './receiving/index.js';
export * from './sending/index.js';
