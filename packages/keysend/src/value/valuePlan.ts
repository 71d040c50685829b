import { type ActiveValue, activeBlock } from './activeValue.js';
import type { ValueBlock, ValueRecipient } from './valueBlock.js';

/**
 * Everything that is needed to pay for an item from its first to its last second, without the web and without XML:
 * plain data. `feed/loadValue` makes one of a feed; an app that has blocks from elsewhere writes one itself.
 */
export interface ValuePlan {
  readonly feed: PlannedFeed;
  readonly item?: PlannedItem;
  /** The item's block, or the channel's where the item has none. */
  readonly block: ValueBlock;
  /** For each of `block.timeSplits`, in their order, what its remote item came to; nothing for other targets. */
  readonly remotes: readonly (PlannedRemote | undefined)[];
  /** What was wrong or left out, for a person to read. */
  readonly problems: readonly string[];
}

export interface PlannedFeed {
  readonly title?: string;
  readonly guid?: string;
  readonly url?: string;
  readonly medium?: string;
}

export interface PlannedItem {
  readonly title?: string;
  readonly guid?: string;
  readonly durationSeconds?: number;
}

export type PlannedRemote =
  | {
      readonly status: 'loaded';
      readonly recipients: readonly ValueRecipient[];
      readonly feedTitle?: string;
      readonly itemTitle?: string;
    }
  /** The block's own recipients get its share. */
  | { readonly status: 'missing'; readonly problem: string };

/** Who is paid at a position of the item. */
export function planAt(plan: ValuePlan, positionSeconds: number): ActiveValue {
  const active = activeBlock({
    channel: plan.block,
    positionSeconds,
    remoteOf: (_timeSplit, index) => {
      const remote = plan.remotes[index];
      return remote?.status === 'loaded' ? remote : undefined;
    },
  });
  // A plan has a block; this is for the type.
  return active ?? { block: plan.block, remotePercentage: 0 };
}

/** Every position, ascending and without 0, at which `planAt` may change. */
export function planBoundaries(plan: ValuePlan): number[] {
  const positions = new Set<number>();
  for (const { startSeconds, durationSeconds } of plan.block.timeSplits) {
    positions.add(startSeconds);
    positions.add(startSeconds + durationSeconds);
  }
  positions.delete(0);
  return [...positions].sort((a, b) => a - b);
}
