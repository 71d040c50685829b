import type { TrimmedField } from '../boostagram/index.js';
import { KeysendError } from '../keysendError.js';
import type { Leg, LegLedger, LegPlan, RunOptions } from '../ledger/index.js';
import { keyPart } from '../ledger/keyPart.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import {
  type ExtraFee,
  type FeeMode,
  planAt,
  type SplitCarry,
  type SplitResult,
  splitAmount,
  type ValuePlan,
} from '../value/index.js';
import { legsOfSplit, positionFields, type SplitLeg, type SplitPaymentOptions } from './splitLegs.js';

export interface BoostRequest extends SplitPaymentOptions {
  /** Names this boost for good: a second one of the same id is the same boost. A UUID; recipients see it. */
  readonly boostUuid: string;
  readonly plan: ValuePlan;
  /** What the person typed: for all recipients together. */
  readonly amountMsat: bigint;
  /** Where in the item; its beginning where it is absent. */
  readonly positionSeconds?: number | undefined;
  readonly message?: string | undefined;
  /** `boost` where it is absent. */
  readonly action?: 'boost' | 'auto' | undefined;
  readonly feeMode?: FeeMode | undefined;
  /** The app's own. */
  readonly extraFees?: readonly ExtraFee[] | undefined;
  /** Shares below it wait for the feed's next boost: 1,000 msat where it is absent. */
  readonly minPayableMsat?: bigint | undefined;
}

/** What one recipient of a boost gets, and what became of it. */
export interface BoostLeg {
  readonly leg: Leg;
  /** Nothing but a fee. */
  readonly fee: boolean;
  /** What of the boostagram had no room: to be told to the sender. */
  readonly trimmed: readonly TrimmedField[];
}

export interface BoostResult {
  readonly boostUuid: string;
  readonly amountMsat: bigint;
  readonly legs: readonly BoostLeg[];
  /** What has arrived. */
  readonly paidMsat: bigint;
  readonly feesMsat: bigint;
  /** Shares below a satoshi that wait, this boost's and those of the feed's earlier ones. */
  readonly carried: SplitCarry;
  readonly warnings: SplitResult['warnings'];
}

interface BoostJson {
  readonly content: string;
  readonly amountMsat: string;
  readonly legs: readonly { readonly key: string; readonly fee: boolean; readonly trimmed: TrimmedField[] }[];
  readonly carried: SplitCarry;
  readonly warnings: SplitResult['warnings'];
}

/**
 * Pays one boost: its shares are planned in one transaction, with their budgets reserved together, and then paid.
 * After a crash, the same call goes on where it was.
 * @param options.prove adds a record to each payment to a node, a signature of the sender (`proveLeg`); the room for
 *   it is `reserveBytes` of the request.
 * @throws KeysendError `key_conflict`, `budget_exceeded`, `request_invalid`, `value_missing`; what the ledger's `run`
 *   throws. That a share was not paid is in the result.
 */
export async function boost(
  ledger: LegLedger,
  request: BoostRequest,
  options: Pick<RunOptions, 'signal' | 'onLeg'> & { prove?: (leg: LegPlan) => Promise<LegPlan> } = {},
): Promise<BoostResult> {
  const { prove, ...run } = options;
  const { store } = ledger;
  for (let planned = isPlanned(store, request); !planned; ) {
    const draft = draftBoost(store, request);
    const proven = await proveAll(draft, prove);
    planned = store.transaction((tx) => storeBoost(tx, ledger, { request, draft: proven }));
  }
  await ledger.run({ ...run, group: boostGroup(request.boostUuid) });
  return boostResult(ledger, request.boostUuid);
}

/** Plans a boost without paying it: the next run of its group does. The same boost again changes nothing. */
export function planBoost(tx: StoreTransaction, ledger: LegLedger, request: BoostRequest): void {
  if (!isPlanned(tx, request)) storeBoost(tx, ledger, { request, draft: draftBoost(tx, request) });
}

/** What a boost comes to, as long as nothing else is carried for its feed. */
interface BoostDraft {
  readonly carriedBefore: string | undefined;
  readonly split: SplitResult;
  readonly legs: readonly SplitLeg[];
}

function isPlanned(reader: StoreReader, request: BoostRequest): boolean {
  const stored = reader.get(boostKey(request.boostUuid));
  if (stored === undefined) return false;
  if ((JSON.parse(stored) as BoostJson).content === contentOf(request)) return true;
  throw new KeysendError(
    'key_conflict',
    `there was another boost with the id ${request.boostUuid}: a new one needs a new id`,
  );
}

function draftBoost(reader: StoreReader, request: BoostRequest): BoostDraft {
  const { boostUuid, plan, amountMsat, positionSeconds = 0, message, action = 'boost' } = request;
  if (amountMsat <= 0n) throw new KeysendError('request_invalid', 'a boost of nothing pays nobody');
  const carriedBefore = reader.get(carryKey(plan));
  const active = planAt(plan, positionSeconds);
  const split = splitAmount({
    amountMsat,
    block: active.block,
    remote: active.remote,
    remotePercentage: active.remotePercentage,
    feeMode: request.feeMode,
    extraFees: request.extraFees,
    minPayableMsat: request.minPayableMsat,
    carried: JSON.parse(carriedBefore ?? '{}') as SplitCarry,
  });
  const legs = legsOfSplit({
    ...request,
    active,
    payments: split.payments,
    boostagram: {
      action,
      ...positionFields(positionSeconds),
      ...(message === undefined || message === '' ? {} : { message }),
      valueMsatTotal: amountMsat,
      boostUuid,
    },
    group: boostGroup(boostUuid),
    keyPrefix: boostGroup(boostUuid),
  });
  return { carriedBefore, split, legs };
}

async function proveAll(
  draft: BoostDraft,
  prove: ((leg: LegPlan) => Promise<LegPlan>) | undefined,
): Promise<BoostDraft> {
  if (prove === undefined) return draft;
  const legs = draft.legs.map(async (each): Promise<SplitLeg> => {
    // A proof names the node that is paid.
    return each.leg.recipient.type === 'node' ? { ...each, leg: await prove(each.leg) } : each;
  });
  return { ...draft, legs: await Promise.all(legs) };
}

/** @returns false where something else is carried by now, and nothing was stored. */
function storeBoost(
  tx: StoreTransaction,
  ledger: LegLedger,
  { request, draft }: { request: BoostRequest; draft: BoostDraft },
): boolean {
  if (isPlanned(tx, request)) return true;
  const { carriedBefore, split, legs } = draft;
  if (tx.get(carryKey(request.plan)) !== carriedBefore) return false;
  ledger.planIn(
    tx,
    legs.map(({ leg }) => leg),
  );
  tx.put(carryKey(request.plan), JSON.stringify(split.carried));
  const json: BoostJson = {
    content: contentOf(request),
    amountMsat: request.amountMsat.toString(),
    legs: legs.map(({ leg: { key }, fee, trimmed }) => ({ key, fee, trimmed: [...trimmed] })),
    carried: split.carried,
    warnings: split.warnings,
  };
  tx.put(boostKey(request.boostUuid), JSON.stringify(json));
  return true;
}

/** What became of a boost. @throws KeysendError `not_found` */
export function boostResult(ledger: LegLedger, boostUuid: string): BoostResult {
  const json = readBoost(ledger.store, boostUuid);
  const legs = json.legs.map(({ key, fee, trimmed }) => ({ leg: ledger.get(key) as Leg, fee, trimmed }));
  const paid = legs.filter(({ leg }) => leg.state === 'succeeded');
  return {
    boostUuid,
    amountMsat: BigInt(json.amountMsat),
    legs,
    paidMsat: paid.reduce((sum, { leg }) => sum + leg.amountMsat, 0n),
    feesMsat: paid.reduce((sum, { leg }) => sum + (leg.feeMsat ?? 0n), 0n),
    carried: json.carried,
    warnings: json.warnings,
  };
}

/** The ledger's group of a boost. */
export function boostGroup(boostUuid: string): string {
  return `boost:${boostUuid}`;
}

function readBoost(reader: StoreReader, boostUuid: string): BoostJson {
  const text = reader.get(boostKey(boostUuid));
  if (text === undefined)
    throw new KeysendError('not_found', `there is no boost ${JSON.stringify(boostUuid)}`);
  return JSON.parse(text) as BoostJson;
}

/** What the same boost has in common with itself; the plan may have been loaded anew. */
function contentOf({ amountMsat, positionSeconds = 0, message = '', plan, action = 'boost' }: BoostRequest) {
  return JSON.stringify([
    feedName(plan),
    plan.item?.guid ?? '',
    amountMsat.toString(),
    positionSeconds,
    message,
    action,
  ]);
}

function feedName({ feed }: ValuePlan): string {
  return feed.guid ?? feed.url ?? feed.title ?? '';
}

/** Shares that wait for the feed's next boost. */
function carryKey(plan: ValuePlan): string {
  return `boostCarry/${keyPart(feedName(plan))}`;
}

function boostKey(boostUuid: string): string {
  return `boost/${keyPart(boostUuid)}`;
}
