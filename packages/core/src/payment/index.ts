export * from './incoming.js';
export * from './keysend.js';
