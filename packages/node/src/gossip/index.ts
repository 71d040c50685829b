export type { GossipLimits } from './gossipLimits.js';
export * from './gossipPorts.js';
export { GossipService } from './gossipService.js';
export type { Funding } from './networkView.js';
