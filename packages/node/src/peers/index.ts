export { PeerError, type PeerErrorCode } from './peerError.js';
export { defaultPeerLimits, type PeerLimits } from './peerLimits.js';
export {
  type PeerEvents,
  type PeerInfo,
  PeerManager,
  type PeerManagerOptions,
  type PeerTarget,
} from './peerManager.js';
export type { PeerAddress } from './reconnector.js';
export { type Scheduler, systemScheduler } from './scheduler.js';
