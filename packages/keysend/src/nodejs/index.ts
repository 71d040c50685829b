export {
  type GuardedFetchOptions,
  guardedFetch,
  guardedFetcher,
  type ResolvedAddress,
} from './guardedFetch.js';
export { loadToolkitSecret } from './toolkitSecret.js';
