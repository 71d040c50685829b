import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { HintHop } from '@rivulet/core/graph';
import { KeysendError } from '../keysendError.js';
import type { Destination, Recipient } from '../value/recipient.js';
import type { Leg, LegFailure, LegInvoice, LegPlan, LegState, LegWitness } from './leg.js';

/** The version of what is stored; a change of its meaning is a new one, and the old one is still read. */
const version = 1;

type RecordsJson = Record<string, string>;

interface HintJson {
  readonly nodeId: string;
  readonly shortChannelId: string;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat?: string;
  readonly htlcMaximumMsat?: string;
}

type DestinationJson =
  | {
      readonly type: 'keysend';
      readonly nodeId: string;
      readonly records: RecordsJson;
      readonly hints?: readonly (readonly HintJson[])[];
    }
  | {
      readonly type: 'lnurl';
      readonly callback: string;
      readonly minMsat: string;
      readonly maxMsat: string;
      readonly commentLength: number;
      readonly metadata: string;
    };

/** What two plans of the same key have to have in common. */
interface ContentJson {
  readonly group: string;
  readonly recipient: Recipient;
  readonly amountMsat: string;
  readonly records: RecordsJson;
  readonly maxFeeMsat?: string | undefined;
  readonly budgets: readonly string[];
  readonly scope?: string | undefined;
  readonly comment?: string | undefined;
}

interface LegJson {
  readonly v: number;
  readonly key: string;
  readonly content: ContentJson;
  readonly note?: string | undefined;
  readonly actor?: string | undefined;
  readonly state: LegState;
  readonly sequence: number;
  readonly plannedAtMs: number;
  readonly changedAtMs: number;
  readonly attempts: number;
  readonly retryAtMs?: number | undefined;
  readonly startedAtMs?: number | undefined;
  readonly sentAtMs?: number | undefined;
  readonly destination?: DestinationJson | undefined;
  readonly invoice?: LegInvoice | undefined;
  readonly paymentHash?: string | undefined;
  readonly preimage?: string | undefined;
  readonly feeMsat?: string | undefined;
  readonly failure?: { code: string; message: string; neededFeeMsat?: string | undefined } | undefined;
  readonly heldFor?: string | undefined;
  readonly approvedBy?: string | undefined;
  readonly owner?: string | undefined;
  readonly walletId?: string | undefined;
  readonly witness?: LegWitness | undefined;
  readonly uncertainUntilMs?: number | undefined;
}

/** Two plans mean the same payment where these texts are the same. */
export function planContent(plan: LegPlan): string {
  return JSON.stringify(contentToJson(plan));
}

export function encodeLeg(leg: Leg): string {
  const json: LegJson = {
    v: version,
    key: leg.key,
    content: contentToJson(leg),
    note: leg.note,
    actor: leg.actor,
    state: leg.state,
    sequence: leg.sequence,
    plannedAtMs: leg.plannedAtMs,
    changedAtMs: leg.changedAtMs,
    attempts: leg.attempts,
    retryAtMs: leg.retryAtMs,
    startedAtMs: leg.startedAtMs,
    sentAtMs: leg.sentAtMs,
    destination: leg.destination && destinationToJson(leg.destination),
    invoice: leg.invoice,
    paymentHash: leg.paymentHash,
    preimage: leg.preimage,
    feeMsat: leg.feeMsat?.toString(),
    failure: leg.failure && { ...leg.failure, neededFeeMsat: leg.failure.neededFeeMsat?.toString() },
    heldFor: leg.heldFor,
    approvedBy: leg.approvedBy,
    owner: leg.owner,
    walletId: leg.walletId,
    witness: leg.witness,
    uncertainUntilMs: leg.uncertainUntilMs,
  };
  return JSON.stringify(json);
}

/** @throws KeysendError `store_invalid` for what a newer version has stored. */
export function decodeLeg(text: string): Leg {
  const { v, content, destination, feeMsat, failure, ...rest } = JSON.parse(text) as LegJson;
  if (v !== version) {
    throw new KeysendError(
      'store_invalid',
      `a payment was stored by a newer version of the toolkit (${v}): run the newer one`,
    );
  }
  const { amountMsat, records, maxFeeMsat, ...plan } = content;
  return {
    ...rest,
    ...plan,
    amountMsat: BigInt(amountMsat),
    records: recordsFromJson(records),
    ...(maxFeeMsat === undefined ? {} : { maxFeeMsat: BigInt(maxFeeMsat) }),
    ...(destination === undefined ? {} : { destination: destinationFromJson(destination) }),
    ...(feeMsat === undefined ? {} : { feeMsat: BigInt(feeMsat) }),
    ...(failure === undefined ? {} : { failure: failureFromJson(failure) }),
  };
}

function failureFromJson({ neededFeeMsat, ...rest }: NonNullable<LegJson['failure']>): LegFailure {
  return { ...rest, ...(neededFeeMsat === undefined ? {} : { neededFeeMsat: BigInt(neededFeeMsat) }) };
}

function contentToJson(plan: LegPlan): ContentJson {
  const { name, type, address, customKey, customValue } = plan.recipient;
  return {
    group: plan.group,
    recipient: {
      ...(name === undefined ? {} : { name }),
      type,
      address,
      ...(customKey === undefined ? {} : { customKey }),
      ...(customValue === undefined ? {} : { customValue }),
    },
    amountMsat: plan.amountMsat.toString(),
    records: recordsToJson(plan.records),
    maxFeeMsat: plan.maxFeeMsat?.toString(),
    budgets: plan.budgets ?? [],
    scope: plan.scope,
    comment: plan.comment,
  };
}

/** In ascending order, whatever that of the map is. */
function recordsToJson(records: ReadonlyMap<bigint, Uint8Array>): RecordsJson {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([type, value]) => [`${type}`, bytesToHex(value)]));
}

function recordsFromJson(json: RecordsJson): ReadonlyMap<bigint, Uint8Array> {
  return new Map(Object.entries(json).map(([type, hex]) => [BigInt(type), hexToBytes(hex)]));
}

function destinationToJson(destination: Destination): DestinationJson {
  switch (destination.type) {
    case 'keysend': {
      const { nodeId, records, hints } = destination;
      return {
        type: 'keysend',
        nodeId,
        records: recordsToJson(records),
        ...(hints === undefined ? {} : { hints: hints.map((hint) => hint.map(hopToJson)) }),
      };
    }
    case 'lnurl': {
      const { minMsat, maxMsat, callback, commentLength, metadata } = destination;
      return {
        type: 'lnurl',
        callback,
        minMsat: minMsat.toString(),
        maxMsat: maxMsat.toString(),
        commentLength,
        metadata,
      };
    }
  }
}

function destinationFromJson(json: DestinationJson): Destination {
  switch (json.type) {
    case 'keysend': {
      const { nodeId, records, hints } = json;
      return {
        type: 'keysend',
        nodeId,
        records: recordsFromJson(records),
        ...(hints === undefined ? {} : { hints: hints.map((hint) => hint.map(hopFromJson)) }),
      };
    }
    case 'lnurl':
      return { ...json, minMsat: BigInt(json.minMsat), maxMsat: BigInt(json.maxMsat) };
  }
}

function hopToJson(hop: HintHop): HintJson {
  const { nodeId, shortChannelId, htlcMinimumMsat, htlcMaximumMsat, ...fees } = hop;
  return {
    ...fees,
    nodeId: bytesToHex(nodeId),
    shortChannelId: shortChannelId.toString(),
    ...(htlcMinimumMsat === undefined ? {} : { htlcMinimumMsat: htlcMinimumMsat.toString() }),
    ...(htlcMaximumMsat === undefined ? {} : { htlcMaximumMsat: htlcMaximumMsat.toString() }),
  };
}

function hopFromJson(json: HintJson): HintHop {
  const { nodeId, shortChannelId, htlcMinimumMsat, htlcMaximumMsat, ...fees } = json;
  return {
    ...fees,
    nodeId: hexToBytes(nodeId),
    shortChannelId: BigInt(shortChannelId),
    ...(htlcMinimumMsat === undefined ? {} : { htlcMinimumMsat: BigInt(htlcMinimumMsat) }),
    ...(htlcMaximumMsat === undefined ? {} : { htlcMaximumMsat: BigInt(htlcMaximumMsat) }),
  };
}
