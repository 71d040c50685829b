import { RivuletError } from '../bytes/index.js';

/** Text or numbers that are no `short_channel_id`. */
export class ShortChannelIdError extends RivuletError<'short_channel_id_invalid'> {
  constructor(message: string) {
    super('short_channel_id_invalid', message);
  }
}

/** Where a funding output is in the chain (BOLT 7, definition of `short_channel_id`). */
export interface FundingPosition {
  readonly blockHeight: number;
  /** Index of the transaction in its block. */
  readonly txIndex: number;
  readonly outputIndex: number;
}

function fits(value: number, bits: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}

/**
 * The 8-byte `short_channel_id` as an integer: 3 bytes of height, 3 of transaction index, 2 of output.
 * @throws ShortChannelIdError when a part does not fit.
 */
export function toShortChannelId(position: FundingPosition): bigint {
  const { blockHeight, txIndex, outputIndex } = position;
  if (!fits(blockHeight, 24) || !fits(txIndex, 24) || !fits(outputIndex, 16)) {
    throw new ShortChannelIdError(`${blockHeight}x${txIndex}x${outputIndex} does not fit in 8 bytes`);
  }
  return (BigInt(blockHeight) << 40n) | (BigInt(txIndex) << 16n) | BigInt(outputIndex);
}

export function fromShortChannelId(shortChannelId: bigint): FundingPosition {
  return {
    blockHeight: Number((shortChannelId >> 40n) & 0xff_ffffn),
    txIndex: Number((shortChannelId >> 16n) & 0xff_ffffn),
    outputIndex: Number(shortChannelId & 0xffffn),
  };
}

/** The form for people, for example `539268x845x1`. */
export function formatShortChannelId(shortChannelId: bigint): string {
  const { blockHeight, txIndex, outputIndex } = fromShortChannelId(shortChannelId);
  return `${blockHeight}x${txIndex}x${outputIndex}`;
}

/** Reads the form for people. @throws ShortChannelIdError */
export function parseShortChannelId(text: string): bigint {
  const parts = /^(\d{1,8})x(\d{1,8})x(\d{1,5})$/.exec(text);
  if (parts === null) throw new ShortChannelIdError('a short channel id looks like 539268x845x1');
  return toShortChannelId({
    blockHeight: Number(parts[1]),
    txIndex: Number(parts[2]),
    outputIndex: Number(parts[3]),
  });
}
