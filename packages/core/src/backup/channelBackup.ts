import type { ChannelParams, PartyParams, Readiness } from '../channel/index.js';
import type { ChannelBasepoints } from '../keys/index.js';

/** The places in this list are written: never reorder. */
export const backupNetworks = ['mainnet', 'testnet4', 'signet', 'regtest'] as const;
export type BackupNetwork = (typeof backupNetworks)[number];

/** Where a peer can be dialed. */
export interface BackupAddress {
  readonly host: string;
  readonly port: number;
}

/** Our own terms of a channel; the keys of it derive from the seed and `channelKeyId`. */
export type OwnTerms = Omit<PartyParams, keyof ChannelBasepoints>;

/** What it takes to be paid out of a channel when all else of it is lost. Nothing of it changes with payments. */
export interface BackedUpChannel extends Omit<ChannelParams, 'channelId' | 'local'> {
  readonly local: OwnTerms;
  readonly fundingConfirmed?: NonNullable<Readiness['fundingConfirmed']>;
  /** Where a cooperative close pays us. */
  readonly closingScript?: Uint8Array;
  /** The last known ones first; at most 4. */
  readonly addresses: readonly BackupAddress[];
}

/** The content of a backup of all channels of a node that are not closed. */
export interface ChannelBackup {
  readonly network: BackupNetwork;
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** When its channels were last like this, in milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Of the chain at that time: a funding that is not confirmed here comes later. */
  readonly height: number;
  /** Where the node began to look at blocks, if that is known: its wallet has no older coins. */
  readonly birthHeight?: number;
  /** How many addresses of each keychain the wallet had given out, by the keychain's number. */
  readonly walletNext: readonly number[];
  /** Channels that had no room. */
  readonly omitted: number;
  readonly channels: readonly BackedUpChannel[];
}

/** Blocks that a reorganisation may have moved a funding transaction down by since the backup was made. */
const reorganisationMargin = 6;

/** The block from which the chain has to be read again, so that no spend of a channel is missed. */
export function firstHeightOf({ height, birthHeight, channels }: ChannelBackup): number {
  let first = birthHeight ?? height;
  for (const { fundingConfirmed } of channels) first = Math.min(first, fundingConfirmed?.height ?? height);
  return Math.max(0, first - reorganisationMargin);
}
