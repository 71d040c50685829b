import type { ValueBlock, ValueRecipient, ValueTimeSplit } from './valueBlock.js';

/** A row whose address is made of a number. */
export function row(
  id: number,
  split: bigint | number,
  options: Partial<ValueRecipient> = {},
): ValueRecipient {
  return {
    type: 'node',
    address: `02${id.toString(16).padStart(64, '0')}`,
    split: BigInt(split),
    fee: false,
    ...options,
  };
}

export function block(
  recipients: readonly ValueRecipient[],
  timeSplits: readonly ValueTimeSplit[] = [],
): ValueBlock {
  return { type: 'lightning', method: 'keysend', recipients, timeSplits };
}
