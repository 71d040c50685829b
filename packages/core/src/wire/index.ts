export * from './tlv.js';
