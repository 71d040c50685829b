export * from './driver/index.js';
export * from './logging/index.js';
