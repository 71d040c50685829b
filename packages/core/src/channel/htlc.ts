import type { HtlcState } from './htlcState.js';

/** Seen from us: `offered` HTLCs are those that we added, `received` ones the peer added. */
export type HtlcDirection = 'offered' | 'received';

/** The length of `attribution_data` in the messages that remove an HTLC (BOLT 2). */
export const attributionDataLength = 920;

/**
 * How the receiver of an HTLC removes it. `attributionData`: 920 bytes for the HTLC's sender (BOLT 4), as
 * they go over the wire.
 */
export type Settlement =
  | { readonly type: 'fulfill'; readonly preimage: Uint8Array; readonly attributionData?: Uint8Array }
  /** `reason` is the encrypted failure onion of BOLT 4. */
  | { readonly type: 'fail'; readonly reason: Uint8Array; readonly attributionData?: Uint8Array }
  | { readonly type: 'fail_malformed'; readonly sha256OfOnion: Uint8Array; readonly failureCode: number };

/** What the sender of an HTLC decides. */
export interface NewHtlc {
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
  /** Absolute block height. */
  readonly cltvExpiry: number;
  /** The 1,366 bytes of `onion_routing_packet`. */
  readonly onion: Uint8Array;
  /** The `path_key` that goes beside the onion inside a blinded route (BOLT 4). */
  readonly pathKey?: Uint8Array;
}

export interface Htlc extends NewHtlc {
  readonly direction: HtlcDirection;
  /** Counts up from 0 in each direction, never reused. */
  readonly id: bigint;
  readonly state: HtlcState;
  /** Present from the moment that the removal was proposed. */
  readonly settlement?: Settlement;
  /** The number of the first of their commitments that has it; what is needed to punish an old one. */
  readonly firstRemoteCommitment?: bigint;
  /** Why we have to fail it once it is committed (BOLT 2: dust exposure). */
  readonly mustFail?: 'dust_exposure';
}
