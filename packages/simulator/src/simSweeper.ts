import type { ArchivedHtlc, Channel } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import {
  type Claim,
  type ClaimedHtlc,
  type ExaminedSpend,
  examineSpend,
  matureHeight,
  preimagesIn,
} from '@rivulet/core/monitor';
import { buildHtlcPackage, buildSweep, type SweepInput, type Transaction } from '@rivulet/core/tx';
import { type ChannelKey, channelKey } from './htlcRef.js';
import { outpointKey, type SimChain } from './simChain.js';

/** What blocks mean for payments; the same event may come again. */
export type SweepEvent =
  | {
      readonly type: 'preimage';
      readonly key: ChannelKey;
      readonly htlc: ClaimedHtlc;
      readonly preimage: Uint8Array;
    }
  | { readonly type: 'htlcFailed'; readonly key: ChannelKey; readonly htlc: ClaimedHtlc }
  | { readonly type: 'resolved'; readonly key: ChannelKey };

export interface SweepWallet {
  readonly script: Uint8Array;
  /** Confirmed outputs that nothing spends. */
  inputs(): readonly SweepInput[];
}

interface Tracked {
  readonly key: ChannelKey;
  channel: Channel;
  readonly signer: ChannelSigner;
  readonly archived: readonly ArchivedHtlc[];
  readonly by: Transaction;
  readonly height: number;
  examined: ExaminedSpend;
  /** Outputs that are not worth their spending. */
  readonly givenUp: Set<string>;
}

interface PlacedClaim {
  readonly claim: Claim;
  readonly createdHeight: number;
}

const finalDepth = 6;
const feeratePerKw = 253;

/**
 * Brings home what a node has in channels that are closed on chain, with core's monitor. What it knows follows
 * from the chain and from the channel's value. Fees are the least there are, for nobody competes for blocks.
 */
export class SimSweeper {
  readonly #chain: SimChain;
  readonly #wallet: SweepWallet;
  readonly #tracked = new Map<ChannelKey, Tracked>();
  /** What could not be claimed because it costs more than it is worth, in sat. */
  #givenUpSat = 0n;
  #paidFeesSat = 0n;

  constructor(chain: SimChain, wallet: SweepWallet) {
    this.#chain = chain;
    this.#wallet = wallet;
  }

  get busy(): boolean {
    return this.#tracked.size > 0;
  }

  /** What claiming has cost: fees, and outputs that were left. */
  get costSat(): bigint {
    return this.#paidFeesSat + this.#givenUpSat;
  }

  /** After a restart: the node tracks again what is spent. */
  clear(): void {
    this.#tracked.clear();
  }

  track(spent: {
    channel: Channel;
    signer: ChannelSigner;
    archived: readonly ArchivedHtlc[];
    by: Transaction;
    height: number;
  }): ExaminedSpend['spend'] {
    const key = channelKey(spent.channel.params.channelId);
    const examined = examineSpend(spent);
    this.#tracked.set(key, { ...spent, key, examined, givenUp: new Set() });
    return examined.spend;
  }

  /** Takes a channel's newer value: a preimage may have become known. */
  update(channel: Channel): void {
    const tracked = this.#tracked.get(channelKey(channel.params.channelId));
    if (tracked === undefined || tracked.channel.htlcs === channel.htlcs) return;
    tracked.channel = channel;
    tracked.examined = examineSpend(tracked);
  }

  /** What the chain up to a height means. */
  eventsAt(height: number): SweepEvent[] {
    const events: SweepEvent[] = [];
    for (const tracked of [...this.#tracked.values()]) {
      const { key, channel, examined } = tracked;
      const isFinal = (at: number) => height - at + 1 >= finalDepth;
      const preimages = new Set<bigint>();
      const isFulfilled = ({ id }: ClaimedHtlc) =>
        preimages.has(id) || channel.htlcs.get('offered', id)?.settlement?.type === 'fulfill';
      let over = isFinal(tracked.height);
      for (const { claim } of this.#claims(tracked, height)) {
        const spend = this.#spendOf(claim, height);
        if (spend === undefined) {
          over &&= tracked.givenUp.has(outpointKey(claim.outpoint));
          continue;
        }
        over &&= isFinal(spend.height);
        for (const { htlc, preimage } of preimagesIn(spend.tx, [claim])) {
          preimages.add(htlc.id);
          events.push({ type: 'preimage', key, htlc, preimage });
        }
        if (claim.htlc?.direction !== 'offered' || !isFinal(spend.height) || isFulfilled(claim.htlc))
          continue;
        events.push({ type: 'htlcFailed', key, htlc: claim.htlc });
      }
      if (isFinal(tracked.height)) {
        for (const htlc of examined.withoutOutput) {
          if (!isFulfilled(htlc)) events.push({ type: 'htlcFailed', key, htlc });
        }
      }
      if (over) {
        this.#tracked.delete(key);
        events.push({ type: 'resolved', key });
      }
    }
    return events;
  }

  #spendOf(claim: Claim, height: number) {
    const spend = this.#chain.spendOf(claim.outpoint);
    return spend !== undefined && spend.height <= height ? spend : undefined;
  }

  /** The claims on what spent the channel, and on what spent those. */
  #claims(tracked: Tracked, height: number): PlacedClaim[] {
    const placed = new Map<string, PlacedClaim>();
    const add = (claims: readonly Claim[], createdHeight: number) => {
      for (const claim of claims) {
        const key = outpointKey(claim.outpoint);
        if (placed.has(key)) continue;
        placed.set(key, { claim, createdHeight });
        const spend = this.#spendOf(claim, height);
        if (spend !== undefined) add(tracked.examined.secondStage(spend.tx), spend.height);
      }
    };
    add(tracked.examined.claims, tracked.height);
    return [...placed.values()];
  }

  /** Broadcasts what has matured. */
  publish(height: number): void {
    for (const tracked of this.#tracked.values()) {
      for (const { claim, createdHeight } of this.#claims(tracked, height)) {
        if (claim.how === 'wait' || matureHeight(claim, createdHeight) > height) continue;
        const { outpoint } = claim;
        if (this.#chain.spendOf(outpoint) !== undefined || this.#chain.isBeingSpent(outpoint)) continue;
        if (!tracked.givenUp.has(outpointKey(outpoint))) this.#take(tracked, { claim, height });
      }
    }
  }

  #take(tracked: Tracked, { claim, height }: { claim: Claim; height: number }): void {
    const built = this.#build(claim, height);
    if (built === 'later') return;
    if (built === undefined) {
      tracked.givenUp.add(outpointKey(claim.outpoint));
      this.#givenUpSat += claim.valueSat;
      return;
    }
    if (this.#chain.broadcast(built.tx) === 'accepted') this.#paidFeesSat += built.feeSat;
  }

  /** `undefined` where the output is not worth its spending; `later` where the wallet has nothing to pay with. */
  #build(claim: Claim, height: number): { tx: Transaction; feeSat: bigint } | 'later' | undefined {
    const { script } = this.#wallet;
    switch (claim.how) {
      case 'input': {
        const alone = buildSweep({ inputs: [claim.input], script, feeratePerKw, lockTime: height });
        if (alone !== undefined || claim.htlc === undefined) return alone;
        // That an HTLC is over has to be seen on chain, whatever it is worth.
        const [feeInput] = this.#wallet.inputs();
        if (feeInput === undefined) return 'later';
        return buildSweep({ inputs: [claim.input, feeInput], script, feeratePerKw, lockTime: height });
      }
      case 'package': {
        const [feeInput] = this.#wallet.inputs();
        if (feeInput === undefined) return 'later';
        const { item } = claim;
        return buildHtlcPackage({ items: [item], feeInputs: [feeInput], changeScript: script, feeratePerKw });
      }
      case 'transaction':
        return { tx: claim.complete(), feeSat: 0n };
      case 'wait':
        return undefined;
    }
  }
}
