export { ChainFollower } from './chainFollower.js';
export { Sweeper } from './sweeper.js';
export type { SpentChannel, SweepEvent } from './sweepPorts.js';
