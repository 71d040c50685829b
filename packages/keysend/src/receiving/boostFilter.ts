import { boostFacets, type FacetName, facetMatches, facetQuery } from './boostFacets.js';
import { foldText } from './foldText.js';
import type { BoostKind, NewBoost } from './receivedBoost.js';

/** Which boosts are meant; what is absent excludes nothing. Plain JSON but for the amount. */
export interface BoostFilter {
  /** Guid, name, address, or number in the podcast index; case does not count. */
  readonly show?: string;
  /** Guid, name, or number in the podcast index. */
  readonly episode?: string;
  readonly app?: string;
  /** What the sender calls itself: name or id. */
  readonly sender?: string;
  /** The node whose signature was verified, 66 hex digits. */
  readonly provenSender?: string;
  readonly kinds?: readonly BoostKind[];
  /** Not before. For whole days: midnight, UTC. */
  readonly fromMs?: number;
  /** Before this, which is not included. */
  readonly untilMs?: number;
  readonly minMsat?: bigint;
  /** Appears in the message. */
  readonly text?: string;
  /** An account behind the node, or `type:account`. */
  readonly account?: string;
  /** Guid of the feed that was played inside the episode. */
  readonly remote?: string;
  /** The name of the wallet that received it. */
  readonly source?: string;
}

const textFilters = [
  'show',
  'episode',
  'app',
  'sender',
  'account',
  'remote',
] as const satisfies readonly FacetName[];

export function matchesFilter(boost: NewBoost, filter: BoostFilter): boolean {
  const { provenSender, kinds, fromMs, untilMs, minMsat, text, source } = filter;
  if (kinds !== undefined && !kinds.includes(boost.kind)) return false;
  if (fromMs !== undefined && boost.receivedAtMs < fromMs) return false;
  if (untilMs !== undefined && boost.receivedAtMs >= untilMs) return false;
  if (minMsat !== undefined && boost.amountMsat < minMsat) return false;
  if (source !== undefined && boost.source !== source) return false;
  if (provenSender !== undefined && boost.sender.provenKey !== provenSender.toLowerCase()) return false;
  if (text !== undefined && !foldText(boost.message ?? '').includes(foldText(text))) return false;
  if (textFilters.every((name) => filter[name] === undefined)) return true;
  const facets = boostFacets(boost);
  return textFilters.every((name) => {
    const wanted = filter[name];
    return wanted === undefined || facetMatches(facets[name], facetQuery(name, wanted));
  });
}
