import type { ChannelSigner } from '../keys/index.js';
import type { Transaction } from '../tx/index.js';
import type {
  AnnouncementSignatures,
  ChannelAnnouncement,
  ChannelReady,
  ChannelReestablish,
  ClosingComplete,
  ClosingSig,
  ClosingSigned,
  CommitmentSigned,
  ErrorMessage,
  RevokeAndAck,
  Shutdown,
  UpdateAddHtlc,
  UpdateFailHtlc,
  UpdateFailMalformedHtlc,
  UpdateFee,
  UpdateFulfillHtlc,
  WarningMessage,
} from '../wire/index.js';
import type { Channel } from './channel.js';
import type { ChannelError, ChannelRefusal } from './channelError.js';
import type { Htlc, NewHtlc, Settlement } from './htlc.js';

/** Every message that concerns one funded channel. */
export type ChannelMessage =
  | ChannelReady
  | ChannelReestablish
  | AnnouncementSignatures
  | Shutdown
  | ClosingSigned
  | ClosingComplete
  | ClosingSig
  | UpdateAddHtlc
  | UpdateFulfillHtlc
  | UpdateFailHtlc
  | UpdateFailMalformedHtlc
  | UpdateFee
  | CommitmentSigned
  | RevokeAndAck
  | ErrorMessage
  | WarningMessage;

export type Command =
  /** The peer is connected and both `init` are exchanged. */
  | { readonly type: 'connected'; readonly simpleClose: boolean; readonly anySegwit?: boolean }
  | { readonly type: 'disconnected' }
  | { readonly type: 'message'; readonly message: ChannelMessage }
  /** A block arrived; its height is in the context. */
  | { readonly type: 'block' }
  | { readonly type: 'fundingConfirmed'; readonly height: number; readonly index: number }
  /** A reorganisation took the funding transaction's confirmation back. */
  | { readonly type: 'fundingUnconfirmed' }
  | { readonly type: 'addHtlc'; readonly requestId: string; readonly htlc: NewHtlc }
  | { readonly type: 'settleHtlc'; readonly id: bigint; readonly settlement: Settlement }
  | { readonly type: 'updateFee'; readonly feeratePerKw: number }
  /** Send commitment_signed if something waits for it and the last one is revoked. */
  | { readonly type: 'sign' }
  | { readonly type: 'close'; readonly script: Uint8Array }
  | { readonly type: 'forceClose' }
  /** A confirmed transaction spends the funding output. */
  | { readonly type: 'fundingSpent'; readonly by: Transaction }
  /** The spend above was reorganised away. */
  | { readonly type: 'fundingUnspent' }
  /** All outputs that concern us are resolved, deep enough. */
  | { readonly type: 'resolved' };

/** What a step may look at besides the channel and the command. */
export interface StepContext {
  readonly blockHeight: number;
  readonly signer: ChannelSigner;
  readonly policy: ChannelPolicy;
  /**
   * Where a cooperative close that the peer begins pays us, unless a script was committed to at the
   * opening. Without it our shutdown waits for a `close` command.
   */
  readonly closingScript?: Uint8Array;
  /** Without it no channel is announced. */
  readonly announcer?: Announcer;
  /**
   * This data was restored from a copy, and no channel_reestablish has shown yet that it is the latest: our
   * commitment may be revoked, so it is not published, whatever happens.
   */
  readonly unproven?: boolean;
  /** Tell of every commitment that the peer revokes, for watchtowers. */
  readonly reportRevocations?: boolean;
}

/** The node that announces its channels (BOLT 7). */
export interface Announcer {
  readonly nodeId: Uint8Array;
  /** The genesis hash of the chain, in internal byte order. */
  readonly chainHash: Uint8Array;
  /** Confirmations of the funding transaction before a channel is announced; BOLT 7 asks for 6 at least. */
  readonly minimumDepth: number;
  /** Signs a hash with the node's own key; 64 bytes compact. */
  signWithNodeKey(hash: Uint8Array): Uint8Array;
}

export interface ChannelPolicy {
  /** BOLT 2: Bounding exposure to trimmed in-flight HTLCs. */
  readonly maxDustExposureMsat: bigint;
  /** What update_fee from a peer may set. */
  readonly minFeeratePerKw: number;
  readonly maxFeeratePerKw: number;
  /** What we would pay for a cooperative close. */
  readonly closingFeeratePerKw: number;
}

/** What has to be in the database before any effect of the same step is let out. */
export type StoreAction =
  /** Write the channel as it is after the step. */
  | { readonly type: 'putChannel' }
  /** Write an HTLC's row: at its adding and when a settlement is added to it. */
  | { readonly type: 'putHtlc'; readonly htlc: Htlc }
  /** The HTLC is over; what an old commitment's penalty needs of it stays. */
  | { readonly type: 'archiveHtlc'; readonly htlc: Htlc };

/** What the node's own logic hears of, inside the same transaction: nobody outside sees it yet. */
export type ChannelEvent =
  | { readonly type: 'htlcAdded'; readonly requestId: string; readonly htlc: Htlc }
  | { readonly type: 'htlcRefused'; readonly requestId: string; readonly reason: ChannelRefusal }
  /** They offer it and it is irrevocably committed: settle it. Told again after each restart. */
  | { readonly type: 'htlcReceived'; readonly htlc: Htlc }
  /** An HTLC of ours was fulfilled: the preimage is known, whatever happens now. */
  | {
      readonly type: 'htlcFulfilled';
      readonly htlc: Htlc;
      readonly preimage: Uint8Array;
      /** As the peer sent it, still obfuscated (BOLT 4). */
      readonly attributionData?: Uint8Array;
    }
  /** An HTLC of ours failed and its removal is irrevocable. */
  | { readonly type: 'htlcFailed'; readonly htlc: Htlc; readonly settlement: Settlement }
  /** A received HTLC that we settled is over on both sides. */
  | { readonly type: 'htlcOver'; readonly htlc: Htlc }
  /**
   * The peer has revoked this commitment; `before` is the channel as it was when that could still be published,
   * `secret` what it revealed. Only with `reportRevocations`.
   */
  | {
      readonly type: 'remoteRevoked';
      readonly commitmentNumber: bigint;
      readonly before: Channel;
      readonly perCommitmentSecret: Uint8Array;
    }
  | { readonly type: 'phaseChanged' }
  /** Ready for payments (both channel_ready), or online again. */
  | { readonly type: 'online' }
  /** Both sides signed the announcement. Told again after each restart. */
  | { readonly type: 'announced'; readonly announcement: ChannelAnnouncement }
  | { readonly type: 'commandRefused'; readonly command: Command['type']; readonly reason: ChannelRefusal };

/** What others see: only after the step's store actions are durable. */
export type Effect =
  | { readonly type: 'send'; readonly message: ChannelMessage }
  | { readonly type: 'publish'; readonly tx: Transaction; readonly purpose: 'commitment' | 'closing' }
  | { readonly type: 'disconnect'; readonly reason: string }
  | { readonly type: 'report'; readonly level: 'warn' | 'error'; readonly error: ChannelError };

export interface Step {
  readonly channel: Channel;
  readonly store: readonly StoreAction[];
  readonly events: readonly ChannelEvent[];
  readonly effects: readonly Effect[];
}

/** A step in the making: lives for one call of `step` and never leaves it. */
export class StepDraft {
  channel: Channel;
  readonly context: StepContext;
  readonly store: StoreAction[] = [];
  readonly events: ChannelEvent[] = [];
  readonly effects: Effect[] = [];

  constructor(channel: Channel, context: StepContext) {
    this.channel = channel;
    this.context = context;
  }

  /** Changes fields of the channel in memory alone: what a reconnection or a restart may forget. */
  patch(fields: Partial<Channel>): void {
    this.channel = { ...this.channel, ...fields };
  }

  /** Changes fields of the channel and has them written. */
  save(fields: Partial<Channel>): void {
    this.patch(fields);
    if (this.store[0]?.type !== 'putChannel') this.store.unshift({ type: 'putChannel' });
  }

  send(message: ChannelMessage): void {
    this.effects.push({ type: 'send', message });
  }

  finish(): Step {
    return { channel: this.channel, store: this.store, events: this.events, effects: this.effects };
  }
}
