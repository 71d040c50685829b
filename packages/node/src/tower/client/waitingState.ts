import { ByteReader, ByteWriter } from '@rivulet/core/bytes';
import { decodeRevokedState, encodeRevokedState, type RevokedState } from '@rivulet/core/tower';

/** A revoked state that waits for the towers, and since when. */
export interface WaitingState {
  readonly atMs: number;
  readonly state: RevokedState;
}

export function encodeWaitingState({ atMs, state }: WaitingState): Uint8Array {
  const bytes = encodeRevokedState(state);
  return new ByteWriter(8 + bytes.length).u64(BigInt(atMs)).bytes(bytes).finish();
}

/** @throws TowerError of the core where these are other bytes. */
export function decodeWaitingState(data: Uint8Array): WaitingState {
  const reader = new ByteReader(data);
  return { atMs: Number(reader.u64()), state: decodeRevokedState(reader.rest()) };
}
