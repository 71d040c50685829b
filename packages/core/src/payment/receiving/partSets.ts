import { bytesToHex, equalBytes } from '../../bytes/index.js';
import type { FailureMessage } from '../../onion/index.js';
import { minClaimBlocks, type ReceivedPart, unknownDetails } from './judgeFinal.js';

/** An HTLC that a peer offers us, in one of our channels. */
export interface HtlcRef {
  readonly channelId: Uint8Array;
  readonly htlcId: bigint;
}

/** One HTLC of a set. */
export interface SetPart {
  readonly ref: HtlcRef;
  readonly amountMsat: bigint;
  readonly intendedMsat: bigint;
  readonly cltvExpiry: number;
  /** Of its onion: what a failure is encrypted with. */
  readonly sharedSecret: Uint8Array;
}

/** To be failed now. */
export interface FailedPart extends SetPart {
  readonly failure: FailureMessage;
}

export type EndReason =
  /** BOLT 4: 60 seconds after the first part. */
  | 'timeout'
  /** An HTLC would soon have to be claimed on chain. */
  | 'expiry_too_near'
  /** Its parts do not agree on what they add up to. */
  | 'total_mismatch'
  /** A newer one took its room. */
  | 'crowded_out'
  /** An HTLC of a set that was complete is gone. */
  | 'part_lost';

/** A set that is over without having been paid: each of its parts has to be failed. */
export interface EndedSet {
  readonly paymentHash: Uint8Array;
  readonly kind: ReceivedPart['kind'];
  readonly reason: EndReason;
  /** It was complete, and waited for its owner's decision. */
  readonly wasHeld: boolean;
  readonly parts: readonly FailedPart[];
}

/** All of a payment is here. */
export interface CompleteSet {
  readonly paymentHash: Uint8Array;
  readonly kind: ReceivedPart['kind'];
  readonly totalMsat: bigint;
  /** What all HTLCs together are worth: the total or more. */
  readonly amountMsat: bigint;
  /** Absent for a hold invoice, whose set is kept, as held, until `takeHeld`. */
  readonly preimage?: Uint8Array;
  /** Those of the part that came first. */
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  readonly parts: readonly SetPart[];
}

export type SetRefusal =
  | 'total_mismatch'
  | 'secret_mismatch'
  | 'kind_mismatch'
  | 'preimage_mismatch'
  /** The set was complete without it. */
  | 'already_complete'
  | 'too_many_parts';

export type AddedPart = (
  | { readonly type: 'incomplete' }
  /** Settle all of its parts, or mark its invoice as held. */
  | { readonly type: 'complete'; readonly set: CompleteSet }
  /** Fail this part; the set, if it is not in `ended`, goes on without it. */
  | { readonly type: 'refuse'; readonly cause: SetRefusal; readonly failure: FailureMessage }
) & {
  /** Sets that are over because of this part. */
  readonly ended: readonly EndedSet[];
};

export interface PartSetLimits {
  /** HTLCs of one payment. */
  readonly maxParts: number;
  /** Incomplete sets whose first part came through the same peer: a new one ends the oldest of them. */
  readonly maxSetsPerPeer: number;
  /** Incomplete sets in all: a new one ends the oldest. */
  readonly maxSets: number;
}

const defaultLimits: PartSetLimits = { maxParts: 128, maxSetsPerPeer: 200, maxSets: 1000 };

/** BOLT 4: SHOULD wait for at least 60 seconds after the initial HTLC. */
const timeoutMs = 60_000;

/** Never changed, only replaced. */
interface HtlcSet {
  readonly first: ReceivedPart;
  readonly firstAtMs: number;
  /** Counts the sets in the order in which they began. */
  readonly sequence: number;
  /** The node id through which the first part came, as text. */
  readonly peer: string;
  readonly held: boolean;
  readonly intendedMsat: bigint;
  readonly parts: readonly SetPart[];
}

/**
 * Collects the parts of payments to us until a payment is all there (BOLT 4, basic multi-part payments).
 * Nothing of it is stored: after a restart it is filled again with the HTLCs that are still pending.
 *
 * A turn whose transaction may fail calls `snapshot` before it begins; `restore` undoes all since then.
 *
 * What strangers can begin is bounded by number, in all and per peer. By value it is bounded already: each part
 * is an HTLC that a channel took within its limits.
 */
export class PartSets {
  readonly #limits: PartSetLimits;
  /** By payment hash. */
  readonly #sets = new Map<string, HtlcSet>();
  /** The payment hash of each HTLC that is in a set. */
  readonly #hashes = new Map<string, string>();
  /** What was there before the first change since the snapshot. */
  #before: Map<string, HtlcSet | undefined> | undefined;
  #nextSequence = 0;

  constructor(limits: Partial<PartSetLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  /** From here on, changes can be undone. The last snapshot is the one that counts. */
  snapshot(): void {
    this.#before = new Map();
  }

  /** Undoes all changes since the last snapshot, in time that depends on them alone. */
  restore(): void {
    const before = this.#before ?? new Map<string, HtlcSet | undefined>();
    // HTLCs may have moved from one set to another: first out of all, then into all.
    for (const hash of before.keys()) this.#replace(hash, undefined);
    for (const [hash, set] of before) this.#replace(hash, set);
    this.#before = new Map();
  }

  /**
   * Adds an HTLC that `judgeFinal` found to be fine. One that is in a set already changes nothing.
   * @param peer the node id, as text, through which it came.
   * @param keep the set is kept, as held, when it is complete: somebody judges it, and then calls `takeHeld`.
   */
  add({
    part,
    keep = false,
    ref,
    sharedSecret,
    peer,
    nowMs,
    blockHeight,
  }: {
    part: ReceivedPart;
    keep?: boolean;
    ref: HtlcRef;
    sharedSecret: Uint8Array;
    peer: string;
    nowMs: number;
    blockHeight: number;
  }): AddedPart {
    if (this.#hashes.has(refKey(ref))) return { type: 'incomplete', ended: [] };
    const hash = bytesToHex(part.paymentHash);
    const earlier = this.#sets.get(hash);
    const { amountMsat, intendedMsat, cltvExpiry } = part;
    const added: SetPart = { ref, amountMsat, intendedMsat, cltvExpiry, sharedSecret };
    const refusal = this.#refusalOf(part, earlier);
    if (refusal !== undefined) {
      // BOLT 4: SHOULD fail the entire HTLC set if `total_msat` is not the same for all HTLCs in the set
      const ended =
        refusal === 'total_mismatch' ? [this.#end(hash, { reason: refusal, height: blockHeight })] : [];
      return { type: 'refuse', cause: refusal, failure: unknownDetails(amountMsat, blockHeight), ended };
    }
    const set: HtlcSet = {
      first: earlier?.first ?? part,
      firstAtMs: earlier?.firstAtMs ?? nowMs,
      sequence: earlier?.sequence ?? this.#nextSequence++,
      peer: earlier?.peer ?? peer,
      held: false,
      intendedMsat: (earlier?.intendedMsat ?? 0n) + intendedMsat,
      parts: [...(earlier?.parts ?? []), added],
    };
    if (set.intendedMsat >= part.totalMsat) {
      // A set that is to be settled leaves now, so that it cannot be completed twice.
      this.#set(hash, keep || part.preimage === undefined ? { ...set, held: true } : undefined);
      return { type: 'complete', set: completeSet(set), ended: [] };
    }
    const ended = earlier === undefined ? this.#makeRoom(peer, blockHeight) : [];
    this.#set(hash, set);
    return { type: 'incomplete', ended };
  }

  #refusalOf(part: ReceivedPart, set: HtlcSet | undefined): SetRefusal | undefined {
    if (set === undefined) return undefined;
    const { first } = set;
    if (part.kind !== first.kind) return 'kind_mismatch';
    if (part.key !== first.key) return 'secret_mismatch';
    // BOLT 4: MUST NOT send another HTLC if the set has its total already
    if (set.held) return 'already_complete';
    if (part.totalMsat !== first.totalMsat) return 'total_mismatch';
    if (!sameBytes(part.preimage, first.preimage)) return 'preimage_mismatch';
    return set.parts.length >= this.#limits.maxParts ? 'too_many_parts' : undefined;
  }

  /** Ends the oldest incomplete set where there are too many, those of the same peer before others. */
  #makeRoom(peer: string, height: number): EndedSet[] {
    const { maxSets, maxSetsPerPeer } = this.#limits;
    let all = 0;
    let ofPeer = 0;
    let oldest: [string, HtlcSet] | undefined;
    let oldestOfPeer: [string, HtlcSet] | undefined;
    for (const entry of this.#sets) {
      const [, set] = entry;
      if (set.held) continue;
      all++;
      if (oldest === undefined || set.sequence < oldest[1].sequence) oldest = entry;
      if (set.peer !== peer) continue;
      ofPeer++;
      if (oldestOfPeer === undefined || set.sequence < oldestOfPeer[1].sequence) oldestOfPeer = entry;
    }
    const leaving = ofPeer >= maxSetsPerPeer ? oldestOfPeer : all >= maxSets ? oldest : undefined;
    return leaving === undefined ? [] : [this.#end(leaving[0], { reason: 'crowded_out', height })];
  }

  /** Ends the sets that are still incomplete 60 seconds after their first part (BOLT 4: `mpp_timeout`). */
  expire(nowMs: number): EndedSet[] {
    return this.#endAll('timeout', 0, (set) => !set.held && nowMs - set.firstAtMs >= timeoutMs);
  }

  /** When `expire` will find something, if nothing else happens; milliseconds as in `nowMs`. */
  nextExpiryMs(): number | undefined {
    let next: number | undefined;
    for (const { held, firstAtMs } of this.#sets.values()) {
      if (!held && (next === undefined || firstAtMs + timeoutMs < next)) next = firstAtMs + timeoutMs;
    }
    return next;
  }

  /**
   * Ends the sets, held ones too, that have an HTLC which could only be settled on chain from this height on:
   * now it can be failed without a channel being closed.
   */
  expireByHeight(height: number): EndedSet[] {
    return this.#endAll('expiry_too_near', height, ({ parts }) =>
      parts.some(({ cltvExpiry }) => cltvExpiry <= height + minClaimBlocks),
    );
  }

  /** The set of this hash, where it is complete and held. */
  getHeld(paymentHash: Uint8Array): CompleteSet | undefined {
    const set = this.#sets.get(bytesToHex(paymentHash));
    return set?.held === true ? completeSet(set) : undefined;
  }

  /** Takes a held set out, to settle or to fail all of its parts. `undefined` where none is held. */
  takeHeld(paymentHash: Uint8Array): CompleteSet | undefined {
    const hash = bytesToHex(paymentHash);
    const set = this.#sets.get(hash);
    if (set?.held !== true) return undefined;
    this.#set(hash, undefined);
    return completeSet(set);
  }

  /**
   * An HTLC is gone, and not by us. What is left of an incomplete set waits on; a held one is not complete any
   * more and ends.
   */
  remove(ref: HtlcRef, blockHeight: number): EndedSet | undefined {
    const key = refKey(ref);
    const hash = this.#hashes.get(key);
    const set = hash === undefined ? undefined : this.#sets.get(hash);
    if (hash === undefined || set === undefined) return undefined;
    const parts = set.parts.filter((part) => refKey(part.ref) !== key);
    const intendedMsat = parts.reduce((sum, part) => sum + part.intendedMsat, 0n);
    this.#set(hash, parts.length === 0 ? undefined : { ...set, parts, intendedMsat });
    if (!set.held) return undefined;
    if (parts.length > 0) return this.#end(hash, { reason: 'part_lost', height: blockHeight });
    return endedSet({ ...set, parts }, { reason: 'part_lost', height: blockHeight });
  }

  #endAll(reason: EndReason, height: number, isOver: (set: HtlcSet) => boolean): EndedSet[] {
    const over = [...this.#sets].filter(([, set]) => isOver(set));
    over.sort(([, a], [, b]) => a.sequence - b.sequence);
    return over.map(([hash]) => this.#end(hash, { reason, height }));
  }

  #end(hash: string, why: { reason: EndReason; height: number }): EndedSet {
    const set = this.#sets.get(hash) as HtlcSet;
    this.#set(hash, undefined);
    return endedSet(set, why);
  }

  #set(hash: string, set: HtlcSet | undefined): void {
    const before = this.#before;
    if (before !== undefined && !before.has(hash)) before.set(hash, this.#sets.get(hash));
    this.#replace(hash, set);
  }

  #replace(hash: string, set: HtlcSet | undefined): void {
    for (const { ref } of this.#sets.get(hash)?.parts ?? []) this.#hashes.delete(refKey(ref));
    for (const { ref } of set?.parts ?? []) this.#hashes.set(refKey(ref), hash);
    if (set === undefined) this.#sets.delete(hash);
    else this.#sets.set(hash, set);
  }
}

function refKey({ channelId, htlcId }: HtlcRef): string {
  return `${bytesToHex(channelId)}/${htlcId}`;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

function completeSet({ first, parts }: HtlcSet): CompleteSet {
  const { paymentHash, kind, totalMsat, preimage, customRecords } = first;
  const amountMsat = parts.reduce((sum, part) => sum + part.amountMsat, 0n);
  return {
    paymentHash,
    kind,
    totalMsat,
    amountMsat,
    ...(preimage === undefined ? {} : { preimage }),
    customRecords,
    parts,
  };
}

function endedSet(
  { first, held, parts }: HtlcSet,
  { reason, height }: { reason: EndReason; height: number },
): EndedSet {
  const failureOf = ({ amountMsat }: SetPart): FailureMessage =>
    reason === 'timeout' || reason === 'crowded_out'
      ? { type: 'mpp_timeout' }
      : unknownDetails(amountMsat, height);
  return {
    paymentHash: first.paymentHash,
    kind: first.kind,
    reason,
    wasHeld: held,
    parts: parts.map((part) => ({ ...part, failure: failureOf(part) })),
  };
}
