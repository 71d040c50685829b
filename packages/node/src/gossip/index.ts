export { defaultGossipLimits, type GossipLimits } from './gossipLimits.js';
export * from './gossipPorts.js';
export * from './gossipService.js';
export type { Funding } from './networkView.js';
