import { ByteReader, ByteWriter, RivuletError } from '../bytes/index.js';
import type { LiquidityRow } from './liquidityEstimates.js';

export type LiquidityEstimatesErrorCode =
  /** Written by a later version. */
  | 'liquidity_version_unknown'
  /** Not what any version wrote. */
  | 'liquidity_invalid';

/** Bytes that hold no estimates. They may be dropped: what they knew is learned again. */
export class LiquidityEstimatesError extends RivuletError<LiquidityEstimatesErrorCode> {}

const version = 1;
const rowLength = 49;
/** Stands for an upper bound that nobody knows. */
const noUpper = 0xffff_ffff_ffff_ffffn;
const mostMsat = BigInt(Number.MAX_SAFE_INTEGER);

/** Version, then for each channel: id, direction, capacity, lower bound and its time, upper bound and its time. */
export function encodeEstimates(rows: readonly LiquidityRow[]): Uint8Array {
  const writer = new ByteWriter(1 + rowLength * rows.length).u8(version);
  for (const row of rows) {
    writer.u64(row.shortChannelId).u8(row.base).u64(toMsat(row.capacity));
    writer.u64(toMsat(row.lower)).u64(toMsat(row.lowerAtMs));
    writer.u64(Number.isFinite(row.upper) ? toMsat(row.upper) : noUpper).u64(toMsat(row.upperAtMs));
  }
  return writer.finish();
}

/** @throws LiquidityEstimatesError */
export function decodeEstimates(bytes: Uint8Array): LiquidityRow[] {
  if (bytes.length === 0) throw invalid('is empty');
  if (bytes[0] !== version) {
    throw new LiquidityEstimatesError(
      'liquidity_version_unknown',
      `the estimates of liquidity have version ${bytes[0]}, known is ${version}: drop them or use a later release`,
    );
  }
  if ((bytes.length - 1) % rowLength !== 0)
    throw invalid(`has ${bytes.length} bytes, which is no whole number of rows`);
  const reader = new ByteReader(bytes);
  reader.u8();
  const rows: LiquidityRow[] = [];
  while (reader.left > 0) rows.push(decodeRow(reader));
  return rows;
}

function decodeRow(reader: ByteReader): LiquidityRow {
  const shortChannelId = reader.u64();
  const base = reader.u8();
  if (base !== 0 && base !== 1) throw invalid(`has the direction ${base}`);
  const capacity = safe(reader.u64());
  const lower = safe(reader.u64());
  const lowerAtMs = safe(reader.u64());
  const upperMsat = reader.u64();
  const upper = upperMsat === noUpper ? Number.POSITIVE_INFINITY : safe(upperMsat);
  const upperAtMs = safe(reader.u64());
  if (lower > upper) throw invalid('has a lower bound above the upper one');
  if (capacity > 0 && upper > capacity) throw invalid('has a bound above the capacity');
  return { shortChannelId, base, capacity, lower, lowerAtMs, upper, upperAtMs };
}

function toMsat(value: number): bigint {
  return BigInt(Math.floor(Math.min(Math.max(value, 0), Number.MAX_SAFE_INTEGER)));
}

function safe(value: bigint): number {
  if (value > mostMsat) throw invalid('has a number beyond 2^53');
  return Number(value);
}

function invalid(what: string): LiquidityEstimatesError {
  return new LiquidityEstimatesError(
    'liquidity_invalid',
    `the stored estimates of liquidity are damaged: a part ${what}`,
  );
}
