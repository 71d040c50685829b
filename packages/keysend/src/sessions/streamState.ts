import { utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import { keyPart } from '../ledger/keyPart.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import {
  type ExtraFee,
  type FeeMode,
  readValuePlan,
  type SplitCarry,
  type ValuePlan,
  writeValuePlan,
} from '../value/index.js';
import { uuidOf } from './splitLegs.js';
import type { Stretch } from './stretches.js';

/** What a session goes by from its first minute to its last. */
export interface StreamTerms {
  /** For a minute of content. */
  readonly rateMsatPerMinute: bigint;
  /** How much content is paid at once. */
  readonly intervalMs: number;
  readonly feeMode?: FeeMode | undefined;
  readonly extraFees?: readonly ExtraFee[] | undefined;
  /** Shares below it wait: 1,000 msat where it is absent. */
  readonly minPayableMsat?: bigint | undefined;
}

/** What is stored of a session, with the payments that follow from it in one transaction. */
export interface StreamState {
  readonly terms: StreamTerms;
  /** Begins the keys of its payments. */
  readonly id: string;
  readonly startedAtMs: number;
  /** Counts what was stored: whoever has read another one is not alone. */
  readonly revision: number;
  /** The next one that will be paid. */
  readonly interval: number;
  /** Listened to, and not in any payment yet. */
  readonly open: readonly Stretch[];
  /** Where it goes on. */
  readonly positionMs: number;
  /** All that was listened to, the open part included. */
  readonly heardMs: number;
  /** What is less than a millisatoshi, in parts of 60,000. */
  readonly remainder: bigint;
  /** What was owed for all intervals so far. */
  readonly owedMsat: bigint;
  readonly carried: SplitCarry;
  /** Why everything is carried at the moment. */
  readonly blocked?: string | undefined;
}

interface StateJson {
  readonly v: number;
  readonly rate: string;
  readonly intervalMs: number;
  readonly feeMode?: FeeMode | undefined;
  readonly extraFees?: readonly ExtraFee[] | undefined;
  readonly minPayable?: string | undefined;
  readonly id: string;
  readonly startedAtMs: number;
  readonly revision: number;
  readonly interval: number;
  readonly open: readonly (readonly [number, number])[];
  readonly positionMs: number;
  readonly heardMs: number;
  readonly remainder: string;
  readonly owed: string;
  readonly carried: SplitCarry;
  readonly blocked?: string | undefined;
}

const version = 1;
const maxNameLength = 200;

/** Stores a new session. The plan is kept with it: what a feed says later changes nothing of what is owed. */
export function createStream(
  tx: StoreTransaction,
  {
    name,
    plan,
    terms,
    nowMs,
    positionMs,
  }: { name: string; plan: ValuePlan; terms: StreamTerms; nowMs: number; positionMs: number },
): StreamState {
  const { rateMsatPerMinute, intervalMs } = terms;
  if (name.length < 1 || utf8ToBytes(name).length > maxNameLength) {
    throw new KeysendError('request_invalid', `the name of a session has 1 to ${maxNameLength} bytes`);
  }
  if (rateMsatPerMinute <= 0n) throw new KeysendError('request_invalid', 'a stream of nothing pays nobody');
  if (!Number.isSafeInteger(intervalMs) || intervalMs < 1_000) {
    throw new KeysendError('request_invalid', 'a second of content is the least that is paid at once');
  }
  const state: StreamState = {
    terms,
    id: uuidOf(`stream ${nowMs} ${name}`),
    startedAtMs: nowMs,
    revision: 0,
    interval: 0,
    open: [],
    positionMs,
    heardMs: 0,
    remainder: 0n,
    owedMsat: 0n,
    carried: {},
  };
  tx.put(planKey(name), writeValuePlan(plan));
  tx.put(stateKey(name), encodeState(state));
  return state;
}

export function readStream(
  reader: StoreReader,
  name: string,
): { state: StreamState; plan: ValuePlan } | undefined {
  const text = reader.get(stateKey(name));
  if (text === undefined) return undefined;
  return { state: decodeState(text), plan: readValuePlan(reader.get(planKey(name)) ?? '') };
}

/**
 * Stores what has become of a session.
 * @throws KeysendError `state_conflict` where another player has stored something meanwhile.
 */
export function updateStream(tx: StoreTransaction, name: string, before: StreamState, after: StreamState) {
  const text = tx.get(stateKey(name));
  if (text === undefined || decodeState(text).revision !== before.revision) {
    throw new KeysendError(
      'state_conflict',
      `the session ${JSON.stringify(name)} is played somewhere else, too: open it again`,
    );
  }
  const stored = { ...after, revision: before.revision + 1 };
  tx.put(stateKey(name), encodeState(stored));
  return stored;
}

/** The names of all sessions. */
export function listStreams(reader: StoreReader): string[] {
  const prefix = 'stream/';
  return reader
    .list({ prefix })
    .map(({ key }) => key.slice(prefix.length).replaceAll('%2F', '/').replaceAll('%25', '%'));
}

function encodeState(state: StreamState): string {
  const { terms, open, remainder, owedMsat, ...rest } = state;
  const json: StateJson = {
    v: version,
    ...rest,
    rate: terms.rateMsatPerMinute.toString(),
    intervalMs: terms.intervalMs,
    feeMode: terms.feeMode,
    extraFees: terms.extraFees,
    minPayable: terms.minPayableMsat?.toString(),
    open: open.map(({ fromMs, toMs }) => [fromMs, toMs]),
    remainder: remainder.toString(),
    owed: owedMsat.toString(),
  };
  return JSON.stringify(json);
}

function decodeState(text: string): StreamState {
  const json = JSON.parse(text) as StateJson;
  if (json.v !== version) {
    throw new KeysendError(
      'store_invalid',
      `a session was stored by a newer version of the toolkit (${json.v}): run the newer one`,
    );
  }
  const { v: _, rate, intervalMs, feeMode, extraFees, minPayable, open, remainder, owed, ...rest } = json;
  return {
    ...rest,
    terms: {
      rateMsatPerMinute: BigInt(rate),
      intervalMs,
      feeMode,
      extraFees,
      minPayableMsat: minPayable === undefined ? undefined : BigInt(minPayable),
    },
    open: open.map(([fromMs, toMs]) => ({ fromMs, toMs })),
    remainder: BigInt(remainder),
    owedMsat: BigInt(owed),
  };
}

function stateKey(name: string): string {
  return `stream/${keyPart(name)}`;
}

function planKey(name: string): string {
  return `streamPlan/${keyPart(name)}`;
}
