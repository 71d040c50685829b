export * from './channelPair.js';
