import { ByteReader, ByteWriter } from '@rivulet/core/bytes';
import { decodeSending, encodeSending, type Sending } from '@rivulet/core/payment';
import type { HtlcRef } from './htlcAdder.js';

/** A payment under way, and where its HTLCs are: by the ids of their attempts. */
export interface LiveSending {
  readonly sending: Sending;
  readonly htlcs: ReadonlyMap<number, HtlcRef>;
}

const version = 1;

/** As a row of the database holds it. */
export function encodeSendingRow({ sending, htlcs }: LiveSending): Uint8Array {
  const state = encodeSending(sending);
  const writer = new ByteWriter(3 + htlcs.size * 44 + state.length).u8(version).u16(htlcs.size);
  for (const [attempt, { channelId, htlcId }] of htlcs) writer.u32(attempt).bytes(channelId).u64(htlcId);
  return writer.bytes(state).finish();
}

/** @throws Error for a row that this version did not write: the database is damaged, or of a newer version. */
export function decodeSendingRow(row: Uint8Array): LiveSending {
  const reader = new ByteReader(row);
  const found = reader.u8();
  if (found !== version)
    throw new Error(`a payment under way is stored in version ${found}; ${version} is known`);
  const htlcs = new Map<number, HtlcRef>();
  for (let count = reader.u16(); count > 0; count--) {
    const attempt = reader.u32();
    htlcs.set(attempt, { channelId: reader.bytes(32).slice(), htlcId: reader.u64() });
  }
  return { sending: decodeSending(reader.rest()), htlcs };
}
