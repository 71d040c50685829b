import type { ShachainStore } from '../keys/index.js';
import type { ChannelType, Outpoint, Transaction } from '../tx/index.js';
import type { AnnouncementSignatures } from '../wire/index.js';
import type { ChannelError } from './channelError.js';
import type { HtlcState } from './htlcState.js';
import type { HtlcTable } from './htlcTable.js';

/** The negotiated channel_type (BOLT 2: Defined Channel Types). */
export interface ChannelFormat {
  readonly commitment: ChannelType;
  readonly scidAlias: boolean;
  readonly zeroConf: boolean;
}

/**
 * What one party said in open_channel or accept_channel. The limits are those that it imposes on the
 * other: `channelReserveSat` is what the other must keep, `toSelfDelay` how long the other's own outputs
 * are delayed, `maxAcceptedHtlcs` and `maxHtlcValueInFlightMsat` what the other may offer.
 */
export interface PartyParams {
  readonly dustLimitSat: bigint;
  readonly maxHtlcValueInFlightMsat: bigint;
  readonly channelReserveSat: bigint;
  readonly htlcMinimumMsat: bigint;
  readonly toSelfDelay: number;
  readonly maxAcceptedHtlcs: number;
  readonly fundingPubkey: Uint8Array;
  readonly revocationBasepoint: Uint8Array;
  readonly paymentBasepoint: Uint8Array;
  readonly delayedPaymentBasepoint: Uint8Array;
  readonly htlcBasepoint: Uint8Array;
  /** Where it committed to be paid at a cooperative close; absent where it left that open. */
  readonly upfrontShutdownScript?: Uint8Array;
}

/** What never changes after the funding transaction is known. */
export interface ChannelParams {
  readonly channelId: Uint8Array;
  readonly remoteNodeId: Uint8Array;
  /** Names the keys of this channel to the signer. */
  readonly channelKeyId: Uint8Array;
  readonly format: ChannelFormat;
  readonly localIsOpener: boolean;
  readonly announce: boolean;
  readonly fundingOutpoint: Outpoint;
  readonly fundingSat: bigint;
  /** Confirmations of the funding transaction before we send channel_ready. */
  readonly minimumDepth: number;
  readonly local: PartyParams;
  readonly remote: PartyParams;
  /** What the opener gave the other at the start. */
  readonly pushMsat: bigint;
}

/** A change of the feerate that is not irrevocable yet; it has the first half of an HTLC's states. */
export interface FeeUpdate {
  readonly feeratePerKw: number;
  readonly state: HtlcState;
}

export interface FeeState {
  /** The last irrevocable feerate. */
  readonly feeratePerKw: number;
  /** The opener's updates since, oldest first. */
  readonly updates: readonly FeeUpdate[];
}

/** Our latest commitment: what the peer's signatures let us publish. */
export interface LocalCommit {
  readonly number: bigint;
  readonly signature: Uint8Array;
  /** In the order of the commitment's HTLC outputs. */
  readonly htlcSignatures: readonly Uint8Array[];
}

/**
 * Their commitments. `number` is the latest that is not revoked; while `awaitingRevocation`, number + 1
 * is signed too, and either may appear on chain.
 */
export interface RemoteCommit {
  readonly number: bigint;
  readonly awaitingRevocation: boolean;
  /** Their per-commitment point for `number`. */
  readonly currentPoint: Uint8Array;
  /** Their per-commitment point for `number` + 1; absent until channel_ready. */
  readonly nextPoint?: Uint8Array;
}

export interface Readiness {
  /** Confirmed at this height, at this index of the block, where it is confirmed. */
  readonly fundingConfirmed?: { readonly height: number; readonly index: number };
  /** We sent channel_ready, with this alias. */
  readonly localAlias?: bigint;
  readonly localSent: boolean;
  readonly remoteReceived: boolean;
  readonly remoteAlias?: bigint;
}

/** One side's two signatures of the channel_announcement (BOLT 7), 64 bytes each. */
export interface AnnouncementHalf {
  readonly nodeSignature: Uint8Array;
  readonly bitcoinSignature: Uint8Array;
}

/** How far the announcement of a channel is; the halves hold for this place in the chain alone. */
export interface ChannelAnnouncementState {
  readonly shortChannelId: bigint;
  /** Ours: made when the funding transaction was deep enough, and sent at least once. */
  readonly local?: AnnouncementHalf;
  /** Theirs, verified. */
  readonly remote?: AnnouncementHalf;
}

/** What belongs to the announcement on this connection alone. */
export interface AnnouncingState {
  /** Our announcement_signatures went out on this connection, for this short_channel_id. */
  readonly sentFor?: bigint;
  /** Theirs came on this connection: it is answered once. */
  readonly asked?: boolean;
  /** Theirs, as long as it cannot be checked: our funding transaction is not there yet, or elsewhere. */
  readonly deferred?: AnnouncementSignatures;
}

export interface ShutdownState {
  /** We sent shutdown with this script (or will, once the link allows). */
  readonly localScript?: Uint8Array;
  /** `shutdown` went out on this connection. */
  readonly localSent: boolean;
  readonly remoteScript?: Uint8Array;
}

/** Legacy negotiation on this connection: begins anew after each reconnection (BOLT 2: closing_signed). */
export interface ClosingNegotiation {
  /** Their shutdown came on this connection: after a reconnection theirs is awaited again. */
  readonly remoteShutdown?: boolean;
  readonly lastSentFeeSat?: bigint;
  readonly lastSentRange?: { readonly minFeeSat: bigint; readonly maxFeeSat: bigint };
  readonly lastReceivedFeeSat?: bigint;
  /** option_simple_close: the closing_complete that has no closing_sig yet. */
  readonly closingComplete?: {
    readonly closerScript: Uint8Array;
    readonly closeeScript: Uint8Array;
    readonly feeSat: bigint;
    readonly lockTime: number;
  };
}

export type Phase =
  /** The funding transaction is signed by both and waits for depth and for both channel_ready. */
  | { readonly name: 'awaiting_ready' }
  /** Payments flow; with a shutdown begun, what is pending is settled and nothing new is added. */
  | { readonly name: 'open' }
  /** A cooperative close is signed by both: these transactions may confirm. */
  | { readonly name: 'closing' }
  /** We or they failed the channel: our commitment is to be on chain. Messages are ignored. */
  | { readonly name: 'failed'; readonly error: ChannelError }
  /** We lost data (BOLT 2: data loss): nothing of ours may be published; the peer has to close. */
  | { readonly name: 'stale' }
  /** The funding output is spent on chain by this transaction. */
  | { readonly name: 'spent'; readonly by: Transaction }
  /** All that concerned us on chain is over. */
  | { readonly name: 'closed' };

/** `syncing`: channel_reestablish was sent and theirs is awaited. */
export type Link = 'offline' | 'syncing' | 'online';

/**
 * A channel between us (`local`) and a peer (`remote`), as a value: `step` makes the next one.
 * Balances are settled ones: what is in HTLCs still belongs to who offered it, until the HTLC is over.
 */
export interface Channel {
  readonly params: ChannelParams;
  readonly phase: Phase;
  readonly link: Link;
  /** Whether option_simple_close is negotiated on this connection. */
  readonly simpleClose: boolean;
  /** Whether option_shutdown_anysegwit is negotiated on this connection. */
  readonly anySegwit?: boolean;
  /** We once proved to be behind the peer: our commitment is never published again, whatever follows. */
  readonly dataLost: boolean;
  readonly localMsat: bigint;
  readonly remoteMsat: bigint;
  readonly htlcs: HtlcTable;
  /** The sums of all HTLCs of a direction that are not over: a cheap upper bound for the limits. */
  readonly offeredMsat: bigint;
  readonly receivedMsat: bigint;
  readonly nextOfferedId: bigint;
  readonly nextReceivedId: bigint;
  readonly fee: FeeState;
  readonly localCommit: LocalCommit;
  readonly remoteCommit: RemoteCommit;
  readonly revocations: ShachainStore;
  /** Which of the two went out last: retransmission keeps the order. */
  readonly lastSent: 'commitment_signed' | 'revoke_and_ack' | 'none';
  /** Something waits for our next commitment_signed. */
  readonly unsignedChanges: boolean;
  readonly readiness: Readiness;
  /** Absent before a half of it is there, and for a channel that is not to be announced. */
  readonly announcement?: ChannelAnnouncementState;
  readonly announcing?: AnnouncingState;
  readonly shutdown: ShutdownState;
  readonly negotiation: ClosingNegotiation;
  /** Cooperative closing transactions that both signed; any of them may confirm. */
  readonly closingTransactions: readonly Transaction[];
}
