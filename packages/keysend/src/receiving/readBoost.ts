import type { Boostagram } from '../boostagram/boostagram.js';
import { readBoostagram } from '../boostagram/readBoostagram.js';
import { decodeProofRecord, senderProofType } from '../proof/proofRecord.js';
import { verifySenderProof } from '../proof/senderProof.js';
import { knownRecord } from '../records/knownRecords.js';
import { type KnownValue, readRecord } from '../records/readRecord.js';
import { boostagramRecordType, keysendRecordType } from '../records/recordTypes.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { wellFormed } from './foldText.js';
import type { BoostSender, NewBoost } from './receivedBoost.js';

/** The node whose signature over a payment is right, 66 hex digits; `undefined` where there is none. */
export type ProveSender = (payment: Omit<ReceivedPayment, 'cursor'>) => string | undefined;

/** Looks at the sender proofs of payments to a node. */
export function senderProver(recipient: string): ProveSender {
  return ({ paymentHash, amountMsat, records }) => {
    const verdict = verifySenderProof({ paymentHash, recipient, amountMsat, records });
    return verdict.status === 'valid' ? verdict.nodeId : undefined;
  };
}

export interface ReadBoostOptions {
  /** The name of the wallet that received it. */
  readonly source: string;
  /** Who is known to have sent it, where that was found out before. */
  readonly provenKey?: string | undefined;
  readonly proveSender?: ProveSender | undefined;
}

const maxUuidLength = 128;

/** What a payment says, from its records alone: leniently, with whatever is wrong told in `problems`. Never throws. */
export function readBoost(
  payment: Omit<ReceivedPayment, 'cursor'>,
  { source, provenKey, proveSender }: ReadBoostOptions,
): NewBoost {
  const { paymentHash, amountMsat, receivedAtMs } = payment;
  // In one order, however the wallet gave them: what is read of them must not depend on it.
  const records = new Map([...payment.records].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  records.delete(keysendRecordType);
  const problems: string[] = [];
  const boostagram = boostagramOf(records, problems);
  const values = new Map<string, KnownValue>();
  let account: NewBoost['account'];
  for (const [type, bytes] of records) {
    if (type === boostagramRecordType) continue;
    const read = readRecord(type, bytes);
    if (read.problem !== undefined) problems.push(`${read.name ?? type}: ${read.problem}`);
    if (read.name !== undefined) values.set(read.name, read);
    if (knownRecord(type)?.account === true && read.value.kind === 'text') {
      account ??= { key: type.toString(), value: wellFormed(read.value.text) };
    }
  }
  const proven = provenKey ?? proveSender?.({ ...payment, records });
  const proof = records.get(senderProofType);
  const claim = proof && decodeProofRecord(proof);
  if (typeof claim === 'string') problems.push(`sender_proof: ${claim}`);
  else if (claim?.signed !== undefined && proven === undefined) problems.push('sender_proof: not_verified');
  const { podcastGuid, podcastId } = podcastOf(values);
  const given = boostagram ?? {};
  const text = (name: string): string | undefined => {
    const value = values.get(name)?.value;
    return value?.kind === 'text' && value.text !== '' ? wellFormed(value.text) : undefined;
  };
  return {
    source,
    paymentHash: paymentHash.toLowerCase(),
    amountMsat,
    receivedAtMs: Math.max(0, Math.floor(receivedAtMs)),
    kind: boostagram?.action ?? 'payment',
    sender: senderOf({ boostagram: given, values, text, proven }),
    show: present({
      name: clean(given.podcast),
      guid: clean(given.guid)?.toLowerCase() ?? podcastGuid,
      feedId: given.feedId?.toString() ?? podcastId,
      url: clean(given.url),
    }),
    episode: present({
      name: clean(given.episode),
      guid: clean(given.episodeGuid),
      itemId: given.itemId?.toString(),
    }),
    remote: present({
      feedGuid: clean(given.remoteFeedGuid)?.toLowerCase(),
      itemGuid: clean(given.remoteItemGuid),
    }),
    app: present({ name: clean(given.appName), version: clean(given.appVersion) }),
    share: present({
      name: clean(given.name),
      valueMsat: given.valueMsat,
      totalMsat: given.valueMsatTotal,
    }),
    ...present({
      positionSeconds: given.ts ?? secondsOf(given.time),
      message: clean(given.message) ?? text('message') ?? text('tip_note') ?? text('tip_note_even'),
      boostUuid: clean(given.boostUuid)?.slice(0, maxUuidLength).toLowerCase(),
      legUuid: clean(given.uuid)?.slice(0, maxUuidLength).toLowerCase(),
      account,
      reply: replyOf(given),
    }),
    records,
    problems,
  };
}

function boostagramOf(
  records: ReadonlyMap<bigint, Uint8Array>,
  problems: string[],
): Partial<Boostagram> | undefined {
  const bytes = records.get(boostagramRecordType);
  if (bytes === undefined) return undefined;
  const { boostagram, problems: found } = readBoostagram(bytes);
  for (const { field, problem } of found) {
    // Nothing is lost by it.
    if (problem === 'converted') continue;
    problems.push(field === '' ? `boostagram: ${problem}` : `boostagram ${wellFormed(field)}: ${problem}`);
  }
  return boostagram;
}

/** Record 7629175: a number in the podcast index, or a guid. */
function podcastOf(values: ReadonlyMap<string, KnownValue>): { podcastGuid?: string; podcastId?: string } {
  const value = values.get('podcast_id')?.value;
  if (value?.kind !== 'text') return {};
  const text = clean(value.text);
  if (text === undefined) return {};
  return /^\d{1,16}$/.test(text) ? { podcastId: text } : { podcastGuid: text.toLowerCase() };
}

function senderOf({
  boostagram,
  values,
  text,
  proven,
}: {
  boostagram: Partial<Boostagram>;
  values: ReadonlyMap<string, KnownValue>;
  text: (name: string) => string | undefined;
  proven: string | undefined;
}): BoostSender {
  const key = values.get('sender_key')?.value;
  const typed = [boostagram.senderKey, boostagram.pubkey].find((one) =>
    /^0[23][0-9a-f]{64}$/i.test(one ?? ''),
  );
  return present({
    name: clean(boostagram.senderName) ?? text('sender_alias'),
    id: clean(boostagram.senderId),
    claimedKey: key?.kind === 'public_key' ? key.nodeId : typed?.toLowerCase(),
    provenKey: proven?.toLowerCase(),
  });
}

function replyOf(boostagram: Partial<Boostagram>): NewBoost['reply'] {
  const address = clean(boostagram.replyAddress);
  if (address === undefined) return undefined;
  return {
    address,
    ...present({
      customKey: boostagram.replyCustomKey?.toString(),
      customValue: clean(boostagram.replyCustomValue),
    }),
  };
}

/** `undefined` for nothing but white space. */
function clean(text: string | undefined): string | undefined {
  const trimmed = text === undefined ? '' : wellFormed(text).trim();
  return trimmed === '' ? undefined : trimmed;
}

/** HH:MM:SS or MM:SS. */
function secondsOf(time: string | undefined): number | undefined {
  const [, hours = '0', minutes, seconds] =
    /^(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:\.\d*)?$/.exec(time ?? '') ?? [];
  return minutes === undefined ? undefined : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** Without what is undefined. */
function present<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
