import type { JsonObject } from '../records/json.js';

/** A payment that somebody made, one of a minute that was listened to, or one that recurs by itself. */
export type BoostAction = 'boost' | 'stream' | 'auto';

/**
 * What a podcast app says of a payment (bLIP 10 and the Podcasting 2.0 namespace), in record 7629169. All of it is
 * the sender's claim: nothing was checked against the payment.
 */
export interface Boostagram {
  readonly action: BoostAction;
  /** Title of the podcast. */
  readonly podcast?: string;
  /** `podcast:guid` of the feed. */
  readonly guid?: string;
  /** In the directory of podcastindex.org. */
  readonly feedId?: number;
  /** Of the feed. */
  readonly url?: string;
  /** Title of the episode. */
  readonly episode?: string;
  readonly episodeGuid?: string;
  /** In the directory of podcastindex.org. */
  readonly itemId?: number;
  /** Position in the episode, in seconds. */
  readonly ts?: number;
  /** The same as HH:MM:SS. */
  readonly time?: string;
  /** Who sent it, as they call themselves. */
  readonly senderName?: string;
  /** Tells senders apart, for use against abuse; not to be shown. */
  readonly senderId?: string;
  readonly senderKey?: string;
  readonly pubkey?: string;
  readonly message?: string;
  readonly appName?: string;
  readonly appVersion?: string;
  /** Leads to the place in the episode. */
  readonly boostLink?: string;
  /** Of the recipient, as the value block calls it. */
  readonly name?: string;
  /** What this recipient gets. */
  readonly valueMsat?: bigint;
  /** What the sender typed: for all recipients, before fees. */
  readonly valueMsatTotal?: bigint;
  /** What was listened to since the last payment. */
  readonly secondsBack?: number;
  /** Of playback, as a decimal number. */
  readonly speed?: string;
  /** One for all recipients of one payment. */
  readonly boostUuid?: string;
  /** One for this recipient. */
  readonly uuid?: string;
  /** A node's public key, or name@host. */
  readonly replyAddress?: string;
  readonly replyCustomKey?: bigint;
  readonly replyCustomValue?: string;
  /** Of the feed that a time split sent it to. */
  readonly remoteFeedGuid?: string;
  readonly remoteItemGuid?: string;
  /** The fields of `signature`, with pipes in between. */
  readonly sigFields?: string;
  readonly signature?: string;
  /** Fields that are not known, as they were. */
  readonly extra?: JsonObject;
}

export type BoostagramField = Exclude<keyof Boostagram, 'extra'>;

/** `seconds`, ids and amounts are whole numbers of at most 2^53 - 1; `type` is a record's, of 64 bits. */
type FieldKind = 'action' | 'text' | 'number' | 'msat' | 'type';

interface FieldDescription {
  readonly wire: string;
  readonly kind: FieldKind;
}

/** Every field with its name in the JSON, in the order in which they are written. */
export const boostagramFields: { readonly [F in BoostagramField]-?: FieldDescription } = {
  action: { wire: 'action', kind: 'action' },
  podcast: { wire: 'podcast', kind: 'text' },
  guid: { wire: 'guid', kind: 'text' },
  feedId: { wire: 'feedID', kind: 'number' },
  url: { wire: 'url', kind: 'text' },
  episode: { wire: 'episode', kind: 'text' },
  episodeGuid: { wire: 'episode_guid', kind: 'text' },
  itemId: { wire: 'itemID', kind: 'number' },
  ts: { wire: 'ts', kind: 'number' },
  time: { wire: 'time', kind: 'text' },
  senderName: { wire: 'sender_name', kind: 'text' },
  senderId: { wire: 'sender_id', kind: 'text' },
  senderKey: { wire: 'sender_key', kind: 'text' },
  pubkey: { wire: 'pubkey', kind: 'text' },
  message: { wire: 'message', kind: 'text' },
  appName: { wire: 'app_name', kind: 'text' },
  appVersion: { wire: 'app_version', kind: 'text' },
  boostLink: { wire: 'boost_link', kind: 'text' },
  name: { wire: 'name', kind: 'text' },
  valueMsat: { wire: 'value_msat', kind: 'msat' },
  valueMsatTotal: { wire: 'value_msat_total', kind: 'msat' },
  secondsBack: { wire: 'seconds_back', kind: 'number' },
  speed: { wire: 'speed', kind: 'text' },
  boostUuid: { wire: 'boost_uuid', kind: 'text' },
  uuid: { wire: 'uuid', kind: 'text' },
  replyAddress: { wire: 'reply_address', kind: 'text' },
  replyCustomKey: { wire: 'reply_custom_key', kind: 'type' },
  replyCustomValue: { wire: 'reply_custom_value', kind: 'text' },
  remoteFeedGuid: { wire: 'remote_feed_guid', kind: 'text' },
  remoteItemGuid: { wire: 'remote_item_guid', kind: 'text' },
  sigFields: { wire: 'sig_fields', kind: 'text' },
  signature: { wire: 'signature', kind: 'text' },
};

export const boostagramFieldNames = Object.keys(boostagramFields) as BoostagramField[];

/** Names that some apps use instead. */
export const fieldAliases: ReadonlyMap<string, BoostagramField> = new Map([
  ['feedId', 'feedId'],
  ['feed_id', 'feedId'],
  ['itemId', 'itemId'],
  ['item_id', 'itemId'],
]);

export const wireNames: ReadonlyMap<string, BoostagramField> = new Map(
  boostagramFieldNames.map((field) => [boostagramFields[field].wire, field]),
);

/** Characters (UTF-16 units) of one text: far above what an onion carries. */
export const maxFieldLength = 4096;
/** Fields that are not known. */
export const maxExtraFields = 64;
export const maxNumber = BigInt(Number.MAX_SAFE_INTEGER);
