export * from './judgeFinal.js';
export * from './partSets.js';
export * from './readIncoming.js';
