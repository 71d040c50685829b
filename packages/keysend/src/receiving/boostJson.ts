import { bytesToHex } from '@rivulet/core/bytes';
import { type RecordJson, readRecord, recordToJson } from '../records/readRecord.js';
import { type BoostFilterJson, filterToJson } from './boostFilterJson.js';
import type { BoostTotals, Sum } from './boostStore.js';
import { type BoostKind, boostKinds, type ReceivedBoost } from './receivedBoost.js';

/** A received payment as plain JSON: for APIs, webhooks and files. Amounts are digits. */
export interface BoostJson {
  readonly id: number;
  readonly source: string;
  readonly paymentHash: string;
  readonly amountMsat: string;
  /** ISO 8601, UTC. */
  readonly receivedAt: string;
  readonly receivedAtMs: number;
  readonly kind: ReceivedBoost['kind'];
  readonly sender: ReceivedBoost['sender'];
  readonly show: ReceivedBoost['show'];
  readonly episode: ReceivedBoost['episode'];
  readonly remote: ReceivedBoost['remote'];
  readonly positionSeconds?: number;
  readonly app: ReceivedBoost['app'];
  readonly message?: string;
  readonly boostUuid?: string;
  readonly legUuid?: string;
  readonly share: { readonly name?: string; readonly valueMsat?: string; readonly totalMsat?: string };
  readonly account?: ReceivedBoost['account'];
  readonly reply?: ReceivedBoost['reply'];
  readonly records: readonly RecordJson[];
  readonly problems: readonly string[];
}

export function boostToJson(boost: ReceivedBoost): BoostJson {
  const { amountMsat, receivedAtMs, share, records, id, source, paymentHash, ...rest } = boost;
  const { name, valueMsat, totalMsat } = share;
  return {
    id,
    source,
    paymentHash,
    amountMsat: amountMsat.toString(),
    receivedAt: new Date(receivedAtMs).toISOString(),
    receivedAtMs,
    ...rest,
    share: {
      ...(name === undefined ? {} : { name }),
      ...(valueMsat === undefined ? {} : { valueMsat: valueMsat.toString() }),
      ...(totalMsat === undefined ? {} : { totalMsat: totalMsat.toString() }),
    },
    records: Array.from(records, ([type, bytes]) => recordToJson(readRecord(type, bytes))),
  };
}

export interface SumJson {
  readonly count: number;
  readonly amountMsat: string;
}

/** Totals as plain JSON. */
export interface TotalsJson {
  readonly total: SumJson & { readonly kinds: Readonly<Record<BoostKind, SumJson>> };
  readonly groups: readonly (TotalsJson['total'] & {
    readonly key: string;
    readonly name: string;
    readonly filter?: BoostFilterJson;
  })[];
  readonly groupCount: number;
}

export function totalsToJson({ groups, total, groupCount }: BoostTotals): TotalsJson {
  return {
    total: sumsToJson(total),
    groups: groups.map(({ key, name, filter, ...sums }) => ({
      key,
      name,
      ...sumsToJson(sums),
      ...(filter === undefined ? {} : { filter: filterToJson(filter) }),
    })),
    groupCount,
  };
}

function sumsToJson({ kinds, ...sum }: BoostTotals['total']): TotalsJson['total'] {
  const plain = ({ count, amountMsat }: Sum): SumJson => ({ count, amountMsat: amountMsat.toString() });
  const each = boostKinds.map((kind) => [kind, plain(kinds[kind])] as const);
  return { ...plain(sum), kinds: Object.fromEntries(each) as Record<BoostKind, SumJson> };
}

/** All records as text: `type=hex`, separated by spaces. */
export function recordsToText(records: ReadonlyMap<bigint, Uint8Array>): string {
  return Array.from(records, ([type, bytes]) => `${type}=${bytesToHex(bytes)}`).join(' ');
}
