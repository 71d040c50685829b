import type { ValueBlock } from '../value/valueBlock.js';
import type { FeedProblem } from './feedProblems.js';

/** What of an RSS feed matters to who is paid for it. */
export interface Feed {
  readonly title?: string;
  /** `podcast:guid`, in lower case. */
  readonly guid?: string;
  /** Where it was read, or what it says of itself (`atom:link rel="self"`). */
  readonly url?: string;
  /** `podcast:medium`. */
  readonly medium?: string;
  /** The channel's block. Without recipients, where there are some and none can be paid. */
  readonly value?: ValueBlock;
  /** Episodes and live items, in the order of the feed. */
  readonly items: readonly FeedItem[];
  readonly problems: readonly FeedProblem[];
}

export interface FeedItem {
  /** Its place in `Feed.items`. */
  readonly index: number;
  readonly guid?: string;
  readonly title?: string;
  readonly enclosure?: FeedEnclosure;
  readonly durationSeconds?: number;
  /** Overrides the channel's, also without recipients: then nobody can be paid for this item. */
  readonly value?: ValueBlock;
  /** A `podcast:liveItem`. */
  readonly live?: { readonly status: string; readonly start?: string };
}

export interface FeedEnclosure {
  readonly url: string;
  readonly mediaType?: string;
}
