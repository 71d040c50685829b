export { ChainFollower, type ChainFollowerOptions, ReorgTooDeepError } from './chainFollower.js';
export { type ClaimStatus, type SpentChannelStatus, Sweeper } from './sweeper.js';
export {
  defaultSweepPolicy,
  type SpentChannel,
  type SweepEvent,
  type SweeperOptions,
  type SweepPolicy,
  type SweepWallet,
} from './sweepPorts.js';
