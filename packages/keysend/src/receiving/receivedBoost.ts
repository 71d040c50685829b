/**
 * What a payment is about: `boost`, `stream` and `auto` as its boostagram says, `payment` where it carries none.
 */
export type BoostKind = 'boost' | 'stream' | 'auto' | 'payment';

export const boostKinds: readonly BoostKind[] = ['boost', 'stream', 'auto', 'payment'];

/** Who sent it. All but `provenKey` is what the sender says: anybody can say it. */
export interface BoostSender {
  readonly name?: string;
  /** The app's identifier of its user. */
  readonly id?: string;
  /** The node that the sender says it is, 66 hex digits. */
  readonly claimedKey?: string;
  /** The node whose signature over this payment was verified, 66 hex digits. */
  readonly provenKey?: string;
}

/** A received payment as it is kept, the same for all wallets and apps. Texts are the sender's and not escaped. */
export interface ReceivedBoost {
  /** Its number in this store, in the order of arrival here; never given twice. */
  readonly id: number;
  /** The name of the wallet that received it. */
  readonly source: string;
  /** 64 hex digits. */
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly receivedAtMs: number;
  readonly kind: BoostKind;
  readonly sender: BoostSender;
  readonly show: {
    readonly name?: string;
    readonly guid?: string;
    /** Of the podcast index. */
    readonly feedId?: string;
    readonly url?: string;
  };
  readonly episode: {
    readonly name?: string;
    readonly guid?: string;
    /** Of the podcast index. */
    readonly itemId?: string;
  };
  /** What was played inside the episode, of another feed (a song, mostly). */
  readonly remote: { readonly feedGuid?: string; readonly itemGuid?: string };
  /** Where in the episode. */
  readonly positionSeconds?: number;
  readonly app: { readonly name?: string; readonly version?: string };
  readonly message?: string;
  /** The same for all legs of one boost. */
  readonly boostUuid?: string;
  /** Of this leg alone. */
  readonly legUuid?: string;
  /** Which row of the value block this is, and of how much: as the sender says, before fees. */
  readonly share: { readonly name?: string; readonly valueMsat?: bigint; readonly totalMsat?: bigint };
  /** Which account behind the node is meant: a record's type and its text. */
  readonly account?: { readonly key: string; readonly value: string };
  /** Where an answer can be paid to. */
  readonly reply?: { readonly address: string; readonly customKey?: string; readonly customValue?: string };
  /** Every record but the preimage, the unknown ones too. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  /** What could not be read, for people. */
  readonly problems: readonly string[];
}

/** One that is not in a store yet. */
export type NewBoost = Omit<ReceivedBoost, 'id'>;
