import { utf8ToBytes } from '@rivulet/core/bytes';
import type { NodeStorage, StorageReader, StorageTransaction } from '@rivulet/storage';
import { z } from 'zod';
import type { MisbehaviourProof } from './towerConnection.js';

const integerText = z.codec(z.string().regex(/^[0-9]{1,20}$/), z.bigint(), {
  decode: (text) => BigInt(text),
  encode: (value) => value.toString(),
});

const user = z.object({
  availableSlots: z.int(),
  subscriptionStart: z.int(),
  subscriptionExpiry: z.int(),
  /** Our height when it was registered last. */
  registeredAt: z.int(),
});

const proof: z.ZodType<MisbehaviourProof> = z.object({
  what: z.string(),
  messageHex: z.string(),
  signature: z.string(),
  signerHex: z.string().optional(),
  atMs: z.number(),
});

const towerRecord = z.object({
  towerId: z.string(),
  url: z.string(),
  addedAtMs: z.number(),
  /** Nothing is sent to it any more, until it is added again. */
  misbehaving: z.boolean(),
  proofs: z.array(proof),
  /** By index. */
  users: z.record(z.string(), user),
});

/** A tower, as the node remembers it. */
export type TowerRecord = z.output<typeof towerRecord>;

const receipt = z.object({
  commitmentNumber: integerText,
  userIndex: z.int(),
  locatorHex: z.string(),
  userSignature: z.string(),
  startBlock: z.int(),
  towerSignature: z.string(),
});

/** An appointment's receipt; the last few are kept. */
export type KeptReceipt = z.output<typeof receipt>;

/** How many receipts are kept for each channel and tower. */
export const keptReceipts = 8;

const progress = z.object({
  /** The first commitment that the tower was told of, or could have been. */
  from: integerText,
  /** Every revoked one from `from` to before this one was told. */
  next: integerText,
  /** Of these the ones that the tower would not take. */
  refused: z.int(),
  refusal: z.string().optional(),
  receipts: z.array(receipt),
});

/** How far a tower is with a channel. Two numbers stand for any number of states. */
export type TowerProgress = z.output<typeof progress>;

const recordPrefix = 'tower/';
const progressPrefix = 'tower-progress/';
const scriptKey = 'tower-script';
const missedPrefix = 'tower-missed/';

function encode<Schema extends z.ZodType>(schema: Schema, value: z.output<Schema>): Uint8Array {
  return utf8ToBytes(JSON.stringify(z.encode(schema, value)));
}

function decode<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array): z.output<Schema> {
  return schema.parse(JSON.parse(new TextDecoder().decode(bytes))) as z.output<Schema>;
}

export function loadTowerRecords(storage: NodeStorage): TowerRecord[] {
  return storage.listValues(recordPrefix).map(({ value }) => decode(towerRecord, value));
}

export function putTowerRecord(tx: StorageTransaction, record: TowerRecord): void {
  tx.putValue(recordPrefix + record.towerId, encode(towerRecord, record));
}

/** Forgets a tower and how far it was. */
export function deleteTowerRecord(tx: StorageTransaction, towerId: string): void {
  tx.deleteValue(recordPrefix + towerId);
  for (const { key } of tx.listValues(`${progressPrefix}${towerId}/`)) tx.deleteValue(key);
}

export function getProgress(
  reader: StorageReader,
  { towerId, channel }: { towerId: string; channel: string },
): TowerProgress {
  const value = reader.getValue(`${progressPrefix}${towerId}/${channel}`);
  // A channel that was opened after the tower was added: from its first commitment on.
  return value === undefined ? { from: 0n, next: 0n, refused: 0, receipts: [] } : decode(progress, value);
}

export function putProgress(
  tx: StorageTransaction,
  { towerId, channel, value }: { towerId: string; channel: string; value: TowerProgress },
): void {
  tx.putValue(`${progressPrefix}${towerId}/${channel}`, encode(progress, value));
}

export function deleteProgress(
  tx: StorageTransaction,
  { towerId, channel }: { towerId: string; channel: string },
): void {
  tx.deleteValue(`${progressPrefix}${towerId}/${channel}`);
}

/** Where penalties pay to: one script of the wallet, for all of them. */
export function getPenaltyScript(reader: StorageReader): Uint8Array | undefined {
  return reader.getValue(scriptKey);
}

export function putPenaltyScript(tx: StorageTransaction, script: Uint8Array): void {
  tx.putValue(scriptKey, script);
}

/** States that no tower will ever hear of, since too many waited already. */
export function getMissed(reader: StorageReader, channel: string): number {
  const value = reader.getValue(missedPrefix + channel);
  return value === undefined ? 0 : Number(new TextDecoder().decode(value));
}

export function putMissed(
  tx: StorageTransaction,
  { channel, count }: { channel: string; count: number },
): void {
  tx.putValue(missedPrefix + channel, utf8ToBytes(String(count)));
}
