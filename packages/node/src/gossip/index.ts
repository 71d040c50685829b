export type { GossipLimits } from './gossipLimits.js';
export * from './gossipPorts.js';
export { GossipService, type GossipServiceOptions, type GossipStatus } from './gossipService.js';
export type { Funding } from './networkView.js';
