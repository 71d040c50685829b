import { keysendRecordType, messageRecordType } from './recordTypes.js';

/** How a record's bytes are to be read. */
export type RecordEncoding =
  /** Of a form of its own. */
  | 'bytes'
  | 'text'
  | 'json'
  /** JSON, then bytes of a signature, with nothing in between. */
  | 'signed_json'
  /** 32 bytes. */
  | 'preimage'
  /** 33 bytes of a point. */
  | 'public_key'
  /** DER by its description; 64 and 65 bytes are seen. */
  | 'signature'
  /** Nanoseconds since 1970, 8 bytes big endian. */
  | 'time';

interface Description {
  readonly type: bigint;
  readonly name: string;
  /** For people, beside the value. */
  readonly meaning: string;
  readonly encoding: RecordEncoding;
  /** `wallet`: the wallet alone sets it. `never`: it is read and not written. */
  readonly written: 'yes' | 'wallet' | 'never';
  /** Says which account behind the node is meant (`customKey` of value blocks and keysend addresses). */
  readonly account?: true;
}

/**
 * Every custom record that is known in the wild (bLIP 3, bLIP 10, the registry of satoshis.stream, Whatsat,
 * ThunderHub) and the two of proof/, in the order of their types. The names are stable.
 */
export const knownRecords = [
  {
    type: 696969n,
    name: 'lnpay_account',
    meaning: 'account at LNPay or Alby',
    encoding: 'text',
    written: 'yes',
    account: true,
  },
  {
    type: 818818n,
    name: 'hive_account',
    meaning: 'account at Hive',
    encoding: 'text',
    written: 'yes',
    account: true,
  },
  {
    type: 906608n,
    name: 'fountain_account',
    meaning: 'account at Fountain',
    encoding: 'text',
    written: 'yes',
    account: true,
  },
  {
    type: 7629168n,
    name: 'tip_note_even',
    meaning: 'tip note (old type)',
    encoding: 'text',
    written: 'never',
  },
  { type: 7629169n, name: 'boostagram', meaning: 'boostagram', encoding: 'json', written: 'yes' },
  { type: 7629171n, name: 'tip_note', meaning: 'tip note', encoding: 'text', written: 'yes' },
  {
    type: 7629173n,
    name: 'payment_batch',
    meaning: 'batch of podcast payments',
    encoding: 'json',
    written: 'yes',
  },
  { type: 7629175n, name: 'podcast_id', meaning: 'podcast id or guid', encoding: 'text', written: 'yes' },
  {
    type: 7771777n,
    name: 'satoshis_stream_account',
    meaning: 'account at satoshis.stream',
    encoding: 'text',
    written: 'yes',
    account: true,
  },
  { type: messageRecordType, name: 'message', meaning: 'message', encoding: 'text', written: 'yes' },
  {
    type: 34349337n,
    name: 'message_signature',
    meaning: 'signature of the message',
    encoding: 'signature',
    written: 'yes',
  },
  {
    type: 34349339n,
    name: 'sender_key',
    meaning: 'public key of the sender',
    encoding: 'public_key',
    written: 'yes',
  },
  { type: 34349340n, name: 'sender_alias', meaning: 'alias of the sender', encoding: 'text', written: 'yes' },
  { type: 34349343n, name: 'sent_at', meaning: 'time of the message', encoding: 'time', written: 'yes' },
  { type: 34349345n, name: 'content_type', meaning: 'content type', encoding: 'text', written: 'yes' },
  { type: 34349347n, name: 'request_type', meaning: 'request type', encoding: 'text', written: 'yes' },
  {
    type: 112111100n,
    name: 'lnpay_wallet',
    meaning: 'wallet at LNPay',
    encoding: 'text',
    written: 'yes',
    account: true,
  },
  {
    type: 133773310n,
    name: 'sphinx_chat',
    meaning: 'message of Sphinx',
    encoding: 'signed_json',
    written: 'never',
  },
  {
    type: 1802659171n,
    name: 'receipt',
    meaning: 'receipt of a payment',
    encoding: 'bytes',
    written: 'yes',
  },
  {
    type: 1802725735n,
    name: 'sender_proof',
    meaning: 'proof of the sender',
    encoding: 'bytes',
    written: 'yes',
  },
  {
    type: keysendRecordType,
    name: 'keysend_preimage',
    meaning: 'preimage of the payment',
    encoding: 'preimage',
    written: 'wallet',
  },
] as const satisfies readonly Description[];

export type RecordName = (typeof knownRecords)[number]['name'];

export interface KnownRecord extends Description {
  readonly name: RecordName;
}

const byType = new Map<bigint, KnownRecord>(knownRecords.map((record) => [record.type, record]));
const byName = new Map<string, KnownRecord>(knownRecords.map((record) => [record.name, record]));

/** What is known of a type. */
export function knownRecord(record: bigint | RecordName): KnownRecord | undefined {
  return typeof record === 'bigint' ? byType.get(record) : byName.get(record);
}

/** The stable name of a type, such as `boostagram`; `undefined` for one that is not known. */
export function recordName(type: bigint): RecordName | undefined {
  return byType.get(type)?.name;
}

/** The type of a known record. */
export function recordType(name: RecordName): bigint {
  return (byName.get(name) as KnownRecord).type;
}
