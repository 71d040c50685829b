export { type BoostFeedRequest, type BoostFeedResult, boostFeed } from './boostFeed.js';
export type { Feed, FeedEnclosure, FeedItem } from './feed.js';
export type { FeedProblem } from './feedProblems.js';
export { type LoadValueRequest, loadValue, type RemoteLimits } from './loadValue.js';
export { findItem, MAX_FEED_BYTES, type ParseFeedOptions, parseFeed } from './parseFeed.js';
