export {
  type AddressHints,
  type HintsProblem,
  type HintsSubject,
  hintsText,
  type SignedHints,
  signHints,
} from './addressHints.js';
export { type BoundedFetcherOptions, boundedFetcher, type FetchFunction } from './boundedFetcher.js';
export { type KeysendAddress, parseKeysendAddress } from './keysendAddress.js';
export { type HttpAnswer, type KeysendAccount, keysendAddressAnswer } from './keysendAddressAnswer.js';
export {
  createResolver,
  type ResolveOptions,
  type ResolverOptions,
  resolveKeysendAddress,
} from './resolver.js';
export type { FetchAllowance } from './urlPolicy.js';
