export { ChainFollower, type ChainFollowerOptions } from './chainFollower.js';
export { outpointKey } from './outpointKey.js';
export { type ClaimStatus, type SpentChannelStatus, Sweeper } from './sweeper.js';
export type { SpentChannel, SweepEvent, SweeperOptions, SweepPolicy, SweepWallet } from './sweepPorts.js';
