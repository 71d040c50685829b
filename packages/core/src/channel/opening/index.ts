export * from './accepter.js';
export * from './fundingOutput.js';
export { channelIdOf } from './initialChannel.js';
export * from './opener.js';
export {
  type AcceptPolicy,
  defaultAcceptPolicy,
  defaultOpeningLimits,
  defaultPeerTolerance,
  type OpeningContext,
  type OpeningFeatures,
  type OpeningLimits,
  openingFeatures,
  type PeerTolerance,
} from './openingTerms.js';
