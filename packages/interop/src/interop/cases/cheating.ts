import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { type Outpoint, type Transaction, txid } from '@rivulet/core/tx';
import type { LdkNodeOptions } from '../../ldk/ldkTypes.js';
import { Pair } from '../pair.js';
import type { Rig } from '../rig.js';
import type { RivuletPeer } from '../rivuletPeer.js';
import type { Found } from '../waitUntil.js';
import { startFromRivulet } from './outcomes.js';

export async function payBothWays(pair: Pair, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await pair.rivulet.api.keysend({ nodeId: bytesToHex(pair.ldk.pubkey), amountMsat: 30_000_000n });
    await pair.ldk.sendKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: 10_000_000n });
    await pair.untilQuiet();
  }
}

/** Payments of both directions whose HTLCs stand in both commitments. */
export interface HeldHtlcs {
  /** Ours, which LDK holds: preimages in their order. */
  readonly offered: readonly { readonly preimage: Uint8Array; readonly paymentHash: Uint8Array }[];
  /** LDK's, which we hold: hash in hex. */
  readonly received: readonly string[];
}

/** Has LDK, whose policy is `hold`, and a hold invoice of ours keep HTLCs open. */
export async function holdBothWays(
  pair: Pair,
  { offeredMsat, receivedMsat }: { offeredMsat: readonly bigint[]; receivedMsat: readonly bigint[] },
): Promise<HeldHtlcs> {
  const { rig, rivulet, ldk } = pair;
  const before = ldk.log.eventsOf('paymentClaimable').length;
  for (const amountMsat of offeredMsat) await startFromRivulet(pair, amountMsat);
  const received: string[] = [];
  for (const amountMsat of receivedMsat) {
    const { invoice, paymentHash } = await rivulet.api.createInvoice({ amountMsat, hold: true });
    await ldk.startInvoicePayment({ invoice });
    received.push(paymentHash);
  }
  const held = await rig.until('all payments held', async () => {
    const claimable = ldk.log.eventsOf('paymentClaimable').slice(before);
    if (claimable.length !== offeredMsat.length) return undefined;
    for (const paymentHash of received) {
      const { invoices } = await rivulet.api.invoices({ paymentHash });
      if (invoices[0]?.state !== 'held') return undefined;
    }
    return claimable;
  });
  // In the order of the amounts, not of arrival.
  const offered = offeredMsat.map((amountMsat) => {
    const index = held.findIndex((each) => each.amountMsat === amountMsat);
    const [{ preimage, paymentHash }] = held.splice(index, 1) as [Found<(typeof held)[number]>];
    return { preimage: preimage!, paymentHash };
  });
  return { offered, received };
}

/** An LDK node that can be put back to what it was. */
export class Cheater {
  readonly pair: Pair;
  readonly funding: Outpoint;
  readonly #dataDir: string;
  readonly #copy: string;

  private constructor(pair: Pair, given: { funding: Outpoint; dataDir: string; copy: string }) {
    this.pair = pair;
    this.funding = given.funding;
    this.#dataDir = given.dataDir;
    this.#copy = given.copy;
  }

  /** Opens a channel of a million. */
  static async open(rig: Rig, rivulet: RivuletPeer, options: Partial<LdkNodeOptions> = {}): Promise<Cheater> {
    const dataDir = join(rig.folder, 'ldk');
    const seed = new Uint8Array(32).fill(0x77);
    const ldk = await rig.startLdkProcess({ seed, dataDir, ...options });
    const pair = await Pair.open(rig, { rivulet, ldk }, { opener: 'rivulet' });
    const { fundingTxidHex, fundingOutputIndex } = await pair.rivuletChannel();
    const funding = { txid: hexToBytes(fundingTxidHex!).reverse(), index: fundingOutputIndex! };
    const cheater = new Cheater(pair, { funding, dataDir, copy: join(rig.folder, 'copy') });
    return cheater;
  }

  get rig(): Rig {
    return this.pair.rig;
  }

  /** Keeps LDK's folder as it is now, and goes on. */
  async remember(): Promise<void> {
    const { ldk } = this.pair;
    await ldk.stop();
    cpSync(this.#dataDir, this.#copy, { recursive: true });
    await ldk.restart();
    await this.pair.reconnect();
  }

  /** LDK knows nothing any more of what came after `remember`; it connects to nobody by itself. */
  async forget(): Promise<void> {
    const { ldk } = this.pair;
    await ldk.stop();
    rmSync(this.#dataDir, { recursive: true });
    cpSync(this.#copy, this.#dataDir, { recursive: true });
    await ldk.restart();
  }

  /** LDK publishes what it has, which it has revoked. Rivulet need not run. */
  async publish(): Promise<Transaction> {
    await this.pair.ldk.forceClose(this.pair.ref);
    return this.rig.until('the commitment in the mempool', () => this.spendOf(this.funding));
  }

  /** Mines while Rivulet is away. */
  async mineAlone(blocks = 1): Promise<void> {
    this.rig.chain.mine(blocks);
    await this.pair.ldk.sync();
  }

  /** The transaction that spends an output, in the mempool or in a block. */
  spendOf(outpoint: Outpoint): Transaction | undefined {
    const { regtest } = this.rig.chain;
    const waiting = regtest.mempool
      .entries()
      .find(({ tx }) =>
        tx.inputs.some(
          (input) =>
            bytesToHex(input.outpoint.txid) === bytesToHex(outpoint.txid) &&
            input.outpoint.index === outpoint.index,
        ),
      );
    return waiting?.tx ?? regtest.confirmedSpend(outpoint)?.transaction.tx;
  }

  /** The outputs of a commitment, but anchors, that nobody has spent, not even in the mempool. */
  unspentOutputs(commitment: Transaction): Outpoint[] {
    const id = txid(commitment);
    return commitment.outputs
      .map(({ valueSat }, index) => ({ valueSat, outpoint: { txid: id, index } }))
      .filter(({ valueSat, outpoint }) => valueSat > 330n && this.spendOf(outpoint) === undefined)
      .map(({ outpoint }) => outpoint);
  }
}
