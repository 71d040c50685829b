export type { BoostFilter } from './boostFilter.js';
export { matchesFilter } from './boostFilter.js';
export type * from './boostStore.js';
export { keyedBoosts } from './keyedBoosts.js';
export { type ProveSender, type ReadBoostOptions, readBoost, senderProver } from './readBoost.js';
export type * from './receivedBoost.js';
