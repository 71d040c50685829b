import { bytesToHex } from '@rivulet/core/bytes';
import { isJsonObject, type JsonObject, type JsonValue, jsonField } from '../records/json.js';
import { knownRecord, type RecordName } from '../records/knownRecords.js';
import { type KnownValue, type RecordProblem, readRecords } from '../records/readRecord.js';
import { type BoostAction, type Boostagram, maxFieldLength } from './boostagram.js';
import {
  type BoostagramProblem,
  type BoostagramReading,
  cutText,
  readBoostagram,
  readBoostagramJson,
} from './readBoostagram.js';

/** Which account behind the node a payment is for. */
export interface PaymentAccount {
  readonly type: bigint;
  readonly name: RecordName;
  readonly value: string;
}

/**
 * What a payment's records say, whichever records they are: one view for lists, pages, rules and webhooks. All of it
 * is the sender's claim. Texts are bounded (4,096 characters) and never blank; they may have control characters and
 * markup, which whoever shows them takes care of.
 */
export interface PaymentText {
  /** `boost`, `stream` and `auto` are a boostagram's; `message`: words alone; `payment`: nothing was said. */
  readonly kind: BoostAction | 'message' | 'payment';
  readonly senderName?: string;
  readonly senderId?: string;
  /** A public key that the sender claims, 66 hex digits. */
  readonly senderKey?: string;
  /** Whatsat's signature of the message, as it came: nothing was verified. */
  readonly senderSignature?: Uint8Array;
  /** By the sender's clock. */
  readonly sentAtMs?: number;
  readonly message?: string;
  /** Where several records have words that differ. */
  readonly otherMessages: readonly string[];
  readonly podcast?: string;
  readonly podcastGuid?: string;
  readonly feedId?: number;
  readonly feedUrl?: string;
  readonly episode?: string;
  readonly episodeGuid?: string;
  readonly itemId?: number;
  /** In the episode. */
  readonly positionSeconds?: number;
  readonly remoteFeedGuid?: string;
  readonly remoteItemGuid?: string;
  readonly appName?: string;
  readonly appVersion?: string;
  readonly boostLink?: string;
  /** What the value block calls us. */
  readonly recipientName?: string;
  readonly valueMsat?: bigint;
  readonly valueMsatTotal?: bigint;
  readonly secondsBack?: number;
  readonly speed?: string;
  readonly boostUuid?: string;
  readonly uuid?: string;
  readonly replyAddress?: string;
  readonly replyCustomKey?: bigint;
  readonly replyCustomValue?: string;
  readonly account?: PaymentAccount;
  /** As it was read from record 7629169, 133773310 or the first of 7629173. */
  readonly boostagram?: Boostagram;
  readonly problems: readonly PaymentProblem[];
}

export type PaymentProblem = { readonly type: bigint } & (
  | { readonly problem: RecordProblem }
  | BoostagramProblem
);

/** Reads all of a payment's records as one. Never throws. */
export function readPayment(records: ReadonlyMap<bigint, Uint8Array>): PaymentText {
  const read = new Map<string, KnownValue>();
  const problems: PaymentProblem[] = [];
  for (const record of readRecords(records)) {
    if (record.name !== undefined) read.set(record.name, record);
    // What is wrong with a boostagram is told below, by its fields.
    if (record.problem !== undefined && record.name !== 'boostagram')
      problems.push({ type: record.type, problem: record.problem });
  }
  const text = (name: RecordName): string | undefined => {
    const value = read.get(name)?.value;
    return value?.kind === 'text' ? bounded(value.text) : undefined;
  };
  const boostagram = boostagramOf(read, problems);
  const [message, ...otherMessages] = distinct([
    bounded(boostagram?.message),
    text('message'),
    text('tip_note'),
    text('tip_note_even'),
  ]);
  const podcastId = text('podcast_id');
  const account = accountOf(read.values());
  const key = read.get('sender_key')?.value;
  const time = read.get('sent_at')?.value;
  const signature = read.get('message_signature');
  return withoutAbsent({
    ...(boostagram === undefined ? {} : boostagramText(boostagram)),
    kind: boostagram?.action ?? (message === undefined ? 'payment' : 'message'),
    senderName: bounded(boostagram?.senderName) ?? text('sender_alias'),
    senderKey: key?.kind === 'public_key' ? key.nodeId : claimedKey(boostagram),
    senderSignature: signature?.bytes,
    sentAtMs: time?.kind === 'time' ? Number(time.atNs / 1_000_000n) : undefined,
    message,
    otherMessages,
    podcastGuid: bounded(boostagram?.guid) ?? (isNumber(podcastId) ? undefined : podcastId),
    feedId: boostagram?.feedId ?? (isNumber(podcastId) ? Number(podcastId) : undefined),
    account,
    boostagram,
    problems,
  });
}

function boostagramText(boostagram: Boostagram): Partial<PaymentText> {
  return {
    senderId: bounded(boostagram.senderId),
    podcast: bounded(boostagram.podcast),
    feedUrl: bounded(boostagram.url),
    episode: bounded(boostagram.episode),
    episodeGuid: bounded(boostagram.episodeGuid),
    itemId: boostagram.itemId,
    positionSeconds: boostagram.ts ?? secondsOf(boostagram.time),
    remoteFeedGuid: bounded(boostagram.remoteFeedGuid),
    remoteItemGuid: bounded(boostagram.remoteItemGuid),
    appName: bounded(boostagram.appName),
    appVersion: bounded(boostagram.appVersion),
    boostLink: bounded(boostagram.boostLink),
    recipientName: bounded(boostagram.name),
    valueMsat: boostagram.valueMsat,
    valueMsatTotal: boostagram.valueMsatTotal,
    secondsBack: boostagram.secondsBack,
    speed: bounded(boostagram.speed),
    boostUuid: bounded(boostagram.boostUuid),
    uuid: bounded(boostagram.uuid),
    replyAddress: bounded(boostagram.replyAddress),
    replyCustomKey: boostagram.replyCustomKey,
    replyCustomValue: bounded(boostagram.replyCustomValue),
  } as Partial<PaymentText>;
}

/** The record that says most. */
function boostagramOf(
  read: ReadonlyMap<string, KnownValue>,
  problems: PaymentProblem[],
): Boostagram | undefined {
  for (const name of ['boostagram', 'sphinx_chat', 'payment_batch'] as const) {
    const record = read.get(name);
    if (record === undefined) continue;
    const found = readFrom(name, record);
    for (const problem of found.problems) problems.push({ type: record.type, ...problem });
    if (found.boostagram !== undefined) return found.boostagram;
  }
  return undefined;
}

function readFrom(
  name: 'boostagram' | 'sphinx_chat' | 'payment_batch',
  { value, bytes }: KnownValue,
): BoostagramReading {
  if (name === 'boostagram') return readBoostagram(bytes);
  if (value.kind !== 'json' && value.kind !== 'signed_json') return { problems: [] };
  const json = name === 'sphinx_chat' ? fromSphinx(value.json) : fromBatch(value.json);
  return json === undefined ? { problems: [{ field: '', problem: 'not_object' }] } : readBoostagramJson(json);
}

/** Sphinx: `text` is the message, `title` the episode's, `amount` in sat; without words it is a minute's payment. */
function fromSphinx(json: JsonValue): JsonObject | undefined {
  if (!isJsonObject(json)) return undefined;
  const { text, title, amount, type, ...others } = json;
  const words = typeof text === 'string' && text !== '';
  const amountMsat = typeof amount === 'number' && amount >= 0 ? Math.floor(amount * 1000) : null;
  return {
    action: words ? 'boost' : 'stream',
    message: words ? text : null,
    episode: title ?? null,
    value_msat: amountMsat,
    ...others,
  };
}

/** The first payment of a batch, with its destination and its sender. */
function fromBatch(json: JsonValue): JsonObject | undefined {
  if (!isJsonObject(json)) return undefined;
  const payments = jsonField(json, 'payments');
  const [first] = Array.isArray(payments) ? (payments as readonly JsonValue[]).filter(isJsonObject) : [];
  if (first === undefined) return undefined;
  const destinations = objectIn(json, 'destinations');
  const dest = jsonField(first, 'dest') ?? Object.keys(destinations)[0] ?? '';
  const destination = objectIn(destinations, String(dest));
  const sender = objectIn(json, 'sender');
  const field = (object: JsonObject, name: string): JsonValue => jsonField(object, name) ?? null;
  const { dest: _, ...payment } = first;
  return {
    podcast: field(destination, 'podcast'),
    feedID: field(destination, 'feedID'),
    url: field(destination, 'url'),
    episode_guid: field(destination, 'guid'),
    name: field(destination, 'split_name'),
    sender_name: field(sender, 'name'),
    sender_id: field(sender, 'identifier'),
    sender_key: field(sender, 'key'),
    app_name: field(sender, 'app_name'),
    app_version: field(sender, 'app_version'),
    ...payment,
  };
}

function objectIn(object: JsonObject, name: string): JsonObject {
  const value = jsonField(object, name);
  return isJsonObject(value) ? value : {};
}

function accountOf(records: Iterable<KnownValue>): PaymentAccount | undefined {
  for (const { type, name, value, bytes } of records) {
    if (name === undefined || knownRecord(type)?.account !== true) continue;
    // An account may be bytes that are no text: it names one all the same.
    const text = value.kind === 'text' ? bounded(value.text) : bytesToHex(bytes.subarray(0, 512));
    if (text !== undefined) return { type, name, value: text };
  }
  return undefined;
}

function claimedKey(boostagram: Boostagram | undefined): string | undefined {
  for (const key of [boostagram?.senderKey, boostagram?.pubkey]) {
    if (key !== undefined && /^0[23][0-9a-f]{64}$/i.test(key)) return key.toLowerCase();
  }
  return undefined;
}

/** HH:MM:SS, with or without hours. */
function secondsOf(time: string | undefined): number | undefined {
  const parts = /^(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:\.\d+)?$/.exec(time?.trim() ?? '');
  if (parts === null) return undefined;
  return Number(parts[1] ?? 0) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,15}$/.test(text);
}

function bounded(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : cutText(text, maxFieldLength);
}

function distinct(texts: readonly (string | undefined)[]): string[] {
  return [...new Set(texts.filter((text) => text !== undefined))];
}

type WithUndefined<T> = { [K in keyof T]: T[K] | undefined };

function withoutAbsent(text: WithUndefined<PaymentText>): PaymentText {
  return Object.fromEntries(
    Object.entries(text).filter(([, value]) => value !== undefined),
  ) as unknown as PaymentText;
}
