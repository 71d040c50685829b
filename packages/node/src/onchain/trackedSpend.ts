import type { Channel } from '@rivulet/core/channel';
import {
  type Claim,
  deadlineHeight,
  type ExaminedSpend,
  examineSpend,
  matureHeight,
  preimagesAnywhere,
  preimagesIn,
  type RevealedPreimage,
} from '@rivulet/core/monitor';
import { type Transaction, txid } from '@rivulet/core/tx';
import { outpointKey } from './outpointKey.js';
import { isSmall, isUneconomic } from './smallClaims.js';
import type {
  ClosingSpend,
  HtlcFailure,
  PreimageEvent,
  SpentChannel,
  SweepEvent,
  SweepPolicy,
} from './sweepPorts.js';

/** A claim with what the chain says of its output. */
export interface TrackedClaim {
  readonly key: string;
  readonly claim: Claim;
  readonly createdHeight: number;
  /** The confirmed transaction that spends the output, ours or not. */
  readonly spend?: ClosingSpend;
}

/** A transaction with the outpointKeys of its inputs, made once for all channels. */
export interface KeyedTransaction {
  readonly tx: Transaction;
  readonly inputKeys: readonly string[];
}

export function keyedTransaction(tx: Transaction): KeyedTransaction {
  return { tx, inputKeys: tx.inputs.map(({ outpoint }) => outpointKey(outpoint)) };
}

/** From when on we could take the output; of an HTLC, not before it has expired. */
function endOf({ claim, createdHeight }: TrackedClaim): number {
  return Math.max(matureHeight(claim, createdHeight), claim.htlc?.cltvExpiry ?? 0);
}

/**
 * Whether an HTLC that we offered has expired so long ago, and is so small, that its payment ends as failed although
 * nobody has taken its output. The peer may still take that: what is lost then is no more than the output.
 */
function isHopeless(
  tracked: TrackedClaim,
  { height, policy }: { height: number; policy: SweepPolicy },
): boolean {
  if (tracked.claim.how === 'wait') return false;
  const blocks = height - endOf(tracked);
  if (isUneconomic(tracked.claim)) return blocks + 1 >= policy.finalDepth;
  return isSmall(tracked.claim) && blocks >= policy.giveUpAfterBlocks;
}

/**
 * One spent channel: the claims on what spent it, and on what spent those. All that it knows follows from
 * the channel's value and from the confirmed spends that it was shown, so that a reorganisation only has to
 * take spends away, and a restart only has to show them again.
 */
export class TrackedSpend {
  readonly channelId: Uint8Array;
  readonly height: number;
  readonly by: Transaction;
  readonly #id: Uint8Array;
  #spent: SpentChannel;
  #examined: ExaminedSpend;
  #claims = new Map<string, TrackedClaim>();
  readonly #spends = new Map<string, ClosingSpend>();
  /** What the last undoing took away: that may not have been stored. */
  #undone = new Map<string, ClosingSpend>();
  /** What was told, and with which block. */
  readonly #told = new Map<string, number>();

  constructor(spent: SpentChannel) {
    this.channelId = spent.channel.params.channelId;
    this.height = spent.height;
    this.by = spent.by;
    this.#id = txid(spent.by);
    this.#spent = spent;
    this.#examined = examineSpend(spent);
    this.#derive();
  }

  get spend(): ExaminedSpend['spend'] {
    return this.#examined.spend;
  }

  get claims(): readonly TrackedClaim[] {
    return [...this.#claims.values()];
  }

  /** Takes the channel's newer value: a settlement may have made a preimage known. */
  update(channel: Channel): void {
    if (channel.htlcs === this.#spent.channel.htlcs) return;
    this.#spent = { ...this.#spent, channel };
    this.#examined = examineSpend(this.#spent);
    this.#derive();
  }

  /** Claims follow from the spends: each HTLC transaction's output is a claim in turn. */
  #derive(): void {
    this.#claims = new Map();
    this.#add(this.#examined.claims, this.height);
  }

  #add(claims: readonly Claim[], createdHeight: number): void {
    for (const claim of claims) {
      const key = outpointKey(claim.outpoint);
      if (this.#claims.has(key)) continue;
      const spend = this.#spends.get(key);
      this.#claims.set(key, { key, claim, createdHeight, ...(spend === undefined ? {} : { spend }) });
      if (spend !== undefined) this.#add(this.#examined.secondStage(spend.tx), spend.height);
    }
  }

  /** Notes which claims a confirmed transaction spends. `inputKeys` are the outpointKeys of its inputs. */
  onTransaction({ tx, inputKeys }: KeyedTransaction, height: number): SweepEvent[] {
    if (height < this.height) return [];
    const taken: Claim[] = [];
    for (const key of inputKeys) {
      const claim = this.#claims.get(key);
      if (claim === undefined) continue;
      this.#spends.set(key, { tx, height });
      taken.push(claim.claim);
    }
    const { unknown } = this.#examined;
    const shown = unknown.length === 0 ? [] : preimagesAnywhere(tx, { commitment: this.#id, htlcs: unknown });
    if (taken.length === 0 && shown.length === 0) return [];
    if (taken.length > 0) this.#derive();
    const spends: SweepEvent = { type: 'spends', channelId: this.channelId, tx, height };
    const revealed = [...preimagesIn(tx, taken), ...shown];
    return [spends, ...revealed.flatMap((one) => this.#preimageEvent(one, height))];
  }

  /**
   * Outputs of HTLCs that we offered, that have expired and that nothing confirmed has spent: the other side may
   * show the preimage in its mempool alone, to have our own transaction replaced and its own replaced in turn
   * (threat 7).
   */
  contestedOffers(height: number): readonly Claim[] {
    return this.claims.flatMap(({ claim, spend }) => {
      const { htlc } = claim;
      if (spend !== undefined || htlc?.direction !== 'offered' || height < htlc.cltvExpiry) return [];
      return this.#isFulfilled(htlc.id) ? [] : [claim];
    });
  }

  /** The preimages that an unconfirmed transaction shows. */
  preimagesOf(tx: Transaction, claims: readonly Claim[]): PreimageEvent[] {
    const { channelId } = this;
    return preimagesIn(tx, claims).map(({ htlc, preimage }) => ({
      type: 'preimage',
      channelId,
      htlc,
      preimage,
    }));
  }

  #preimageEvent({ htlc, preimage }: RevealedPreimage, height: number): SweepEvent[] {
    if (this.#spent.channel.htlcs.get('offered', htlc.id) === undefined) return [];
    const first = this.#tellOnce(`preimage:${htlc.id}`, height);
    this.#tellOnce(`failed:${htlc.id}`, height);
    return first ? [{ type: 'preimage', channelId: this.channelId, htlc, preimage }] : [];
  }

  #tellOnce(what: string, height: number): boolean {
    if (this.#told.has(what)) return false;
    this.#told.set(what, height);
    return true;
  }

  /**
   * Forgets blocks above `height` whose meaning could not be stored: it will be told with them again. What was
   * undone and could not be stored is as before.
   */
  rollBack(height: number): void {
    for (const [key, spend] of this.#undone) this.#spends.set(key, spend);
    for (const [what, at] of this.#told) if (at > height) this.#told.delete(what);
    this.undoFrom(height + 1);
  }

  /** Forgets the spends of undone blocks. */
  undoFrom(height: number): void {
    this.#undone = new Map([...this.#spends].filter(([, spend]) => spend.height >= height));
    for (const key of this.#undone.keys()) this.#spends.delete(key);
    this.#derive();
  }

  /** What has become final with this height of the chain. */
  becameFinal(height: number, policy: SweepPolicy): SweepEvent[] {
    this.#undone.clear();
    const isFinal = (at: number) => height - at + 1 >= policy.finalDepth;
    const events: SweepEvent[] = [];
    const { channelId } = this;
    const fail = (htlc: Claim['htlc'], reason: HtlcFailure) => {
      if (htlc === undefined || this.#isFulfilled(htlc.id)) return;
      if (this.#tellOnce(`failed:${htlc.id}`, height))
        events.push({ type: 'htlcFailed', channelId, htlc, reason });
    };
    if (isFinal(this.height)) {
      for (const htlc of this.#examined.withoutOutput) fail(htlc, 'not_in_commitment');
    }
    for (const tracked of this.#claims.values()) {
      const { claim, spend } = tracked;
      if (claim.htlc?.direction !== 'offered') continue;
      // Whoever spent it with a preimage was reported at once and is no failure any more.
      if (spend === undefined) {
        if (isHopeless(tracked, { height, policy })) fail(claim.htlc, 'uneconomic');
      } else if (isFinal(spend.height)) fail(claim.htlc, 'timed_out');
    }
    // BOLT 5: until all outputs are irrevocably resolved: MUST monitor the blockchain
    const isBuried = height - this.height + 1 >= policy.watchDepth;
    // What nobody can tell may still be told by a preimage: long after its expiry nobody upstream waits for it.
    const isTold = this.#examined.unknown.every(
      ({ id, cltvExpiry }) =>
        this.#told.has(`preimage:${id}`) || height >= cltvExpiry + policy.patienceBlocks,
    );
    if (
      isTold &&
      isFinal(this.height) &&
      isBuried &&
      this.claims.every((claim) => this.#isOver(claim, { height, policy }))
    ) {
      const outpoints = this.claims.map(({ claim }) => claim.outpoint);
      events.push({ type: 'resolved', channelId, outpoints });
    }
    return events;
  }

  /** Fulfilled or over already: on a revoked commitment HTLCs of long ago have outputs, too. */
  #isFulfilled(id: bigint): boolean {
    const htlc = this.#spent.channel.htlcs.get('offered', id);
    return htlc === undefined || htlc.settlement?.type === 'fulfill';
  }

  #isOver(tracked: TrackedClaim, { height, policy }: { height: number; policy: SweepPolicy }): boolean {
    const { claim, spend } = tracked;
    if (spend !== undefined)
      return height - spend.height + 1 >= Math.max(policy.finalDepth, policy.watchDepth);
    // BOLT 5: once the HTLC output has expired, it is considered irrevocably resolved
    if (claim.purpose === 'htlc_pending') return height >= (claim.htlc?.cltvExpiry ?? 0);
    if (!isSmall(claim)) return false;
    // What is too small for a transaction of its own may find company, but an HTLC's output hardly does.
    const { giveUpAfterBlocks, patienceBlocks } = policy;
    const isLone = claim.htlc !== undefined && isUneconomic(claim);
    const patience = isLone ? Math.min(patienceBlocks, giveUpAfterBlocks) : giveUpAfterBlocks;
    return height >= endOf(tracked) + patience;
  }

  /** Unspent claims that can be broadcast at this height of the chain, with their deadlines. */
  mature(height: number): (TrackedClaim & { readonly deadline: number | undefined })[] {
    return this.claims
      .filter(
        ({ claim, createdHeight, spend }) =>
          spend === undefined && claim.how !== 'wait' && matureHeight(claim, createdHeight) <= height,
      )
      .map((tracked) => ({ ...tracked, deadline: deadlineHeight(tracked.claim, tracked.createdHeight) }));
  }
}
