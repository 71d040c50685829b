export { AnchorBumper, isFunded } from './anchorBumper.js';
export { ChainFollower } from './chainFollower.js';
export { minimumFeeratePerKw, usableEstimate } from './claimFees.js';
export { Sweeper } from './sweeper.js';
export type {
  ClaimFee,
  FeeInputRequest,
  PreimageEvent,
  StoredSpentChannel,
  SweepEvent,
  SweepPolicy,
  SweepWallet,
} from './sweepPorts.js';
