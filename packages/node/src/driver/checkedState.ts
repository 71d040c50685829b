import type { Channel } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import type { StorageReader } from '@rivulet/storage';
import type { HtlcRef } from './payments/htlcAdder.js';

/** What checks of the whole node look at: memory and what is stored, at one moment between turns. */
export interface CheckedState {
  readonly channels: readonly Channel[];
  readonly signerOf: (channel: Channel) => ChannelSigner;
  readonly storage: StorageReader;
  readonly height: number;
  /** Of the last block that the wallet saw. */
  readonly walletHeight: number | undefined;
  /** Whether an offered HTLC belongs to a payment of ours. */
  readonly isSent: (htlc: HtlcRef) => boolean;
  /** Outputs of closed channels that are ours to take and that nothing has spent. */
  readonly openClaims: readonly {
    readonly channelId: Uint8Array;
    readonly valueSat: bigint;
    /** From here on somebody else can take it too. */
    readonly deadlineHeight: number | undefined;
  }[];
}
