import { bytesToUtf8, utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import type { Leg, LegPlan, LegState, LegSummary } from '../ledger/leg.js';
import type { LegLedger } from '../ledger/legLedger.js';
import { readLeg, readSummary } from '../ledger/legStore.js';
import { messageRecordType } from '../records/recordTypes.js';
import type { StoreReader, ToolkitStore } from '../store/toolkitStore.js';
import { amountText } from '../value/amountText.js';
import { holdLeg } from './holdLeg.js';
import { PayoutFileError, type PayoutProblem } from './payoutFile.js';
import { type PayoutLine, payoutContent } from './payoutLine.js';

// What is stored, beside the payments themselves:
//   payout/<name>    when it was made, by whom

/** Many payments that were ordered together. */
export interface Payout {
  readonly name: string;
  readonly createdAtMs: number;
  readonly by: string;
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/;

/** All payments of a payout. */
export function payoutGroup(name: string): string {
  return `payout:${name}`;
}

/**
 * The key of a line's payment. It is that of the line alone: the same line in another file, or in the same one under
 * another name, is the same payment.
 */
export function payoutLegKey(key: string): string {
  return `payout:${key}`;
}

/** What stands under the keys of a file already. */
export interface PayoutPreview {
  /** Lines that nobody has planned so far. */
  readonly fresh: readonly PayoutLine[];
  readonly freshMsat: bigint;
  /** Lines that were planned before, and what became of them. */
  readonly known: readonly {
    readonly line: PayoutLine;
    readonly state: LegState;
    /** The payout that they belong to. */
    readonly payout: string;
  }[];
  /** Lines whose key stands for something else. */
  readonly conflicts: readonly PayoutProblem[];
}

/** Compares a file with what was planned before; changes nothing. */
export function previewPayout(reader: StoreReader, lines: readonly PayoutLine[]): PayoutPreview {
  const fresh: PayoutLine[] = [];
  const known: { line: PayoutLine; state: LegState; payout: string }[] = [];
  const conflicts: PayoutProblem[] = [];
  let freshMsat = 0n;
  for (const line of lines) {
    const leg = readLeg(reader, payoutLegKey(line.key));
    if (leg === undefined) {
      fresh.push(line);
      freshMsat += line.amountMsat;
      continue;
    }
    const payout = leg.group.replace(/^payout:/, '');
    if (contentOf(leg) === payoutContent(line)) known.push({ line, state: leg.state, payout });
    else {
      const problem = `the key ${JSON.stringify(line.key)} stands for another payment in payout ${payout} (${amountText(leg.amountMsat)} to ${leg.recipient.address}): a new payment needs a new key`;
      conflicts.push({ line: line.line, problem });
    }
  }
  return { fresh, freshMsat, known, conflicts };
}

function contentOf({ recipient, amountMsat, records }: Leg): string {
  const bytes = records.get(messageRecordType);
  const message = bytes === undefined ? undefined : bytesToUtf8(bytes);
  return payoutContent({ recipient, amountMsat, ...(message === undefined ? {} : { message }) });
}

export interface CreatePayout {
  readonly ledger: LegLedger;
  readonly store: ToolkitStore;
  /** 1 to 64 letters, digits and . _ -. The same name again adds to the payout. */
  readonly name: string;
  readonly lines: readonly PayoutLine[];
  readonly now: () => number;
  readonly by?: string;
  readonly audit?: AuditSink;
  readonly budgets?: readonly string[];
  /** Of each payment. */
  readonly maxFeeMsat?: bigint;
  /** Payments of more than this wait for somebody's approval. */
  readonly approvalAboveMsat?: bigint;
}

/**
 * Plans the lines that were not planned before, all in one transaction or none. Nothing is paid yet.
 * @throws PayoutFileError where a key stands for something else; KeysendError `request_invalid`, `budget_exceeded`,
 *   `not_found` for a budget.
 */
export function createPayout(given: CreatePayout): PayoutPreview {
  const { ledger, store, name, lines, now, by = 'user', audit, approvalAboveMsat } = given;
  if (!namePattern.test(name)) {
    throw new KeysendError('request_invalid', 'the name of a payout has 1 to 64 letters, digits and . _ -');
  }
  return store.transaction((tx) => {
    const preview = previewPayout(tx, lines);
    if (preview.conflicts.length > 0) throw new PayoutFileError(preview.conflicts);
    if (tx.get(`payout/${name}`) === undefined) {
      tx.put(`payout/${name}`, JSON.stringify({ name, createdAtMs: now(), by } satisfies Payout));
    }
    ledger.planIn(
      tx,
      preview.fresh.map((line) => legOf(line, given)),
    );
    if (approvalAboveMsat === undefined) return preview;
    const reason = `above ${amountText(approvalAboveMsat)} somebody has to approve`;
    for (const { key, amountMsat } of preview.fresh) {
      if (amountMsat <= approvalAboveMsat) continue;
      holdLeg(tx, { key: payoutLegKey(key), reason, actor: by, audit, nowMs: now() });
    }
    return preview;
  });
}

function legOf(line: PayoutLine, { name, by = 'user', budgets, maxFeeMsat }: CreatePayout): LegPlan {
  const { key, recipient, amountMsat, message, note } = line;
  return {
    key: payoutLegKey(key),
    group: payoutGroup(name),
    recipient,
    amountMsat,
    records: new Map(message === undefined ? [] : [[messageRecordType, utf8ToBytes(message)]]),
    actor: by,
    ...(message === undefined ? {} : { comment: message }),
    ...(note === undefined ? {} : { note }),
    ...(budgets === undefined ? {} : { budgets }),
    ...(maxFeeMsat === undefined ? {} : { maxFeeMsat }),
  };
}

/** @throws KeysendError `not_found` */
export function readPayout(reader: StoreReader, name: string): Payout & { readonly summary: LegSummary } {
  const text = reader.get(`payout/${name}`);
  if (text === undefined) {
    throw new KeysendError('not_found', `there is no payout ${JSON.stringify(name.slice(0, 80))}`);
  }
  return { ...(JSON.parse(text) as Payout), summary: readSummary(reader, payoutGroup(name)) };
}

export function listPayouts(reader: StoreReader): (Payout & { readonly summary: LegSummary })[] {
  return reader.list({ prefix: 'payout/' }).map(({ value }) => {
    const payout = JSON.parse(value) as Payout;
    return { ...payout, summary: readSummary(reader, payoutGroup(payout.name)) };
  });
}

export interface PayoutProgress {
  /** Payments that this run will not touch again, those that were settled before it included. */
  readonly done: number;
  readonly total: number;
  /** Since the run began. */
  readonly perSecond: number;
}

/**
 * Pays what is planned of a payout. After a crash or an interruption, it goes on with what is not settled.
 * @throws KeysendError where the wallet cannot be used.
 */
export async function runPayout(given: {
  readonly ledger: LegLedger;
  readonly name: string;
  readonly now: () => number;
  /** 100 where it is absent. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PayoutProgress) => void;
  readonly onLeg?: (leg: Leg) => void;
}): Promise<LegSummary> {
  const { ledger, name, now, concurrency = 100, signal, onProgress, onLeg } = given;
  const group = payoutGroup(name);
  const { legs: total, states } = ledger.summary(group);
  const open = new Set<LegState>(['planned', 'sending', 'unknown']);
  const before = total - states.planned.legs - states.sending.legs - states.unknown.legs;
  const startedMs = now();
  let done = before;
  return ledger.run({
    group,
    concurrency,
    ...(signal === undefined ? {} : { signal }),
    onLeg(leg) {
      onLeg?.(leg);
      if (open.has(leg.state)) return;
      done++;
      const seconds = Math.max(now() - startedMs, 1) / 1000;
      onProgress?.({ done: Math.min(done, total), total, perSecond: (done - before) / seconds });
    },
  });
}
