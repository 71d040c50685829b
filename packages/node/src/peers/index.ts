export { PeerError } from './peerError.js';
export { type PeerInfo, PeerManager } from './peerManager.js';
export type { PeerAddress } from './reconnector.js';
export { type CancelTimer, type Scheduler, systemScheduler } from './scheduler.js';
