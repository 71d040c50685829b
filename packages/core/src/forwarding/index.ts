export * from './forwardDeadline.js';
export * from './forwardingPolicy.js';
export * from './forwardLimits.js';
export * from './judgeForward.js';
export * from './pendingForward.js';
export * from './replayGuard.js';
