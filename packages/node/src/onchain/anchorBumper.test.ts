import { embeddedBackend, RegtestChain } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { anchoredCommitment } from '@rivulet/core/monitor';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../logging/index.js';
import { AnchorBumper } from './anchorBumper.js';
import type { ClaimFee } from './sweepPorts.js';
import { CloseRig } from './testing/closeRig.js';

const fundingSat = 1_000_000n;
const preimage = (fill: number) => new Uint8Array(32).fill(fill);

/** One party with a failed channel and its bumper, on a chain whose estimate is far above the channel's feerate. */
class Bench {
  readonly rig: CloseRig;
  readonly party: 'alice' | 'bob';
  readonly fees: ClaimFee[] = [];
  readonly log: string[] = [];
  readonly sent: { tx: Transaction; result: string }[] = [];
  upstream: number | undefined;
  /** Nobody takes what is sent. */
  refuses = false;
  bumper: AnchorBumper;

  constructor(rig: CloseRig, party: 'alice' | 'bob') {
    this.rig = rig;
    this.party = party;
    this.bumper = this.#create();
  }

  static async start({
    party = 'alice',
    feeratePerKw = 253,
    aliceMsat,
  }: {
    party?: 'alice' | 'bob';
    feeratePerKw?: number;
    aliceMsat?: bigint;
  } = {}): Promise<Bench> {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 4_000 });
    const rig = new CloseRig(chain, {
      channelType: 'anchors',
      fundingSat,
      feeratePerKw,
      ...(aliceMsat === undefined ? {} : { aliceMsat }),
    });
    await rig.start();
    return new Bench(rig, party);
  }

  #create(): AnchorBumper {
    const { chain } = this.rig;
    const backend = embeddedBackend(chain);
    return new AnchorBumper({
      backend: {
        getMempoolSpend: (outpoint) => backend.getMempoolSpend(outpoint),
        broadcastPackage: async (transactions) => {
          if (this.refuses) return [{ accepted: false, code: 'missing_inputs', message: 'a test' }];
          const results = await backend.broadcastPackage(transactions);
          const last = results.at(-1)!;
          this.sent.push({ tx: transactions.at(-1)!, result: last.accepted ? 'accepted' : last.code });
          return results;
        },
      },
      estimateFeeratePerKw: async () => chain.feeratePerKw,
      wallet: this.rig[this.party].wallet,
      deadlineOf: () => this.upstream,
      rememberFees: async (fees) => void this.fees.push(...fees),
      logger: createLogger({ level: 'debug', to: { write: (line) => void this.log.push(line) } }),
    });
  }

  restart(): void {
    this.bumper = this.#create();
    this.bumper.restore(this.fees);
  }

  /** As a block has shown its funding. */
  get side() {
    const side = this.rig.pair[this.party];
    const readiness = { ...side.channel.readiness, fundingConfirmed: { height: 1, index: 1 } };
    return { ...side, channel: { ...side.channel, readiness } };
  }

  get commitment(): Transaction {
    return this.rig.pair.commitmentOf(this.party);
  }

  publish(): Promise<void> {
    return this.bumper.publish([this.side], this.rig.chain.height);
  }

  /** A block comes that has none of what waits. */
  async emptyBlock(): Promise<void> {
    this.rig.chain.mine({ transactions: 'none' });
    await this.publish();
  }

  /** What waits in the mempool: the commitment, and its child. */
  get waiting() {
    const entries = this.rig.chain.mempool.entries();
    const funding = bytesToHex(this.side.channel.params.fundingOutpoint.txid);
    const spends = (tx: Transaction, id: string) =>
      tx.inputs.some(({ outpoint }) => bytesToHex(outpoint.txid) === id);
    const parent = entries.find(({ tx }) => spends(tx, funding));
    const child = parent && entries.find(({ tx }) => spends(tx, bytesToHex(parent.txid)));
    return { parent, child };
  }

  /** Satoshis a 1000 weight units of both together, with the real weights. */
  get packageFeerate(): number {
    const { parent, child } = this.waiting;
    return Number(((parent!.feeSat + child!.feeSat) * 250n) / BigInt(parent!.vsize + child!.vsize));
  }
}

/** Alice has fulfilled an HTLC of Bob's: from its expiry on he takes it back. */
function withReceived(bench: Bench, { amountMsat, blocks }: { amountMsat: bigint; blocks: number }): number {
  const { pair, chain } = bench.rig;
  const cltvExpiry = chain.height + blocks;
  const id = pair.add('bob', { amountMsat, preimage: preimage(1), cltvExpiry });
  pair.settle('alice', id, { type: 'fulfill', preimage: preimage(1) });
  return cltvExpiry;
}

describe('the commitment of a failed channel', () => {
  test('is paid for by a child of its anchor, so that both together reach the feerate', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    await bench.publish();
    expect(bench.sent.map(({ result }) => result)).toEqual(['accepted']);
    expect(bench.packageFeerate).toBeGreaterThanOrEqual(4_000);
    expect(bench.packageFeerate).toBeLessThan(4_150);
    bench.rig.chain.mine();
    expect(bench.waiting.parent).toBeUndefined();
    expect(bench.rig.chain.confirmed(txidToHex(txid(bench.commitment)))).toBeDefined();
    expect(bench.rig.chain.confirmed(txidToHex(txid(bench.sent[0]!.tx)))).toBeDefined();
  });

  test('gets into mempools by its child where it is below what they relay', async () => {
    const bench = await Bench.start({ feeratePerKw: 100 });
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    expect(() => bench.rig.chain.broadcast(bench.commitment)).toThrow('min relay fee not met');
    await bench.publish();
    expect(bench.waiting.child).toBeDefined();
  });

  test('gets no child where it pays enough itself, or where nothing is at stake', async () => {
    const rich = await Bench.start({ feeratePerKw: 9_000 });
    withReceived(rich, { amountMsat: 300_000_000n, blocks: 100 });
    await rich.publish();
    expect(rich.sent).toEqual([]);
    const empty = await Bench.start({ party: 'bob', aliceMsat: fundingSat * 1000n });
    await empty.publish();
    expect(empty.sent).toEqual([]);
  });

  test('that holds nothing but a balance costs a twentieth of it at most', async () => {
    const bench = await Bench.start({ party: 'bob', aliceMsat: fundingSat * 1000n - 20_000_000n });
    await bench.publish();
    const { child } = bench.waiting;
    expect(child!.feeSat).toBeLessThanOrEqual(1_000n + 10n);
    expect(child!.feeSat).toBeGreaterThan(600n);
  });

  test('without an HTLC is brought home by the estimate, without haste', async () => {
    const bench = await Bench.start();
    await bench.publish();
    expect(bench.packageFeerate).toBeGreaterThanOrEqual(4_000);
    const { child } = bench.waiting;
    for (let i = 0; i < 30; i++) await bench.emptyBlock();
    expect(bench.waiting.child!.txidHex).toBe(child!.txidHex);
  });

  test('threat 8: is paid more for as the deadline comes near, never less, up to what is at stake', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 50_000_000n, blocks: 18 });
    await bench.publish();
    const paid: bigint[] = [];
    for (let i = 0; i < 20; i++) {
      paid.push(bench.waiting.child!.feeSat);
      if (i === 3) bench.rig.chain.feeratePerKw = 300;
      await bench.emptyBlock();
    }
    expect(bench.sent.every(({ result }) => result === 'accepted')).toBe(true);
    expect(paid).toEqual([...paid].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(new Set(paid).size).toBeGreaterThanOrEqual(4);
    expect(paid.at(-1)).toBeGreaterThan(30_000n);
    // The balance of Alice beside the HTLC is not spent for it.
    expect(paid.at(-1)).toBeLessThanOrEqual(50_000n);
  });

  test('an HTLC that was passed on has the deadline of the one that came in for it', async () => {
    const bench = await Bench.start();
    const { pair, chain } = bench.rig;
    pair.add('alice', { amountMsat: 80_000_000n, preimage: preimage(2), cltvExpiry: chain.height + 5 });
    await bench.publish();
    const patient = bench.waiting.child!.feeSat;
    bench.upstream = chain.height + 6;
    await bench.publish();
    expect(bench.waiting.child!.feeSat).toBeGreaterThan(2n * patient);
  });

  test('is not paid for once a block has it, and its coins are free when the child is not pending', async () => {
    const bench = await Bench.start();
    const { wallet } = bench.rig.alice;
    const released: string[] = [];
    const release = wallet.release.bind(wallet);
    wallet.release = (id) => {
      released.push(id);
      release(id);
    };
    await bench.publish();
    const child = bench.sent[0]!.tx;
    bench.rig.chain.mempool.removeWithDescendants(txidToHex(txid(child)));
    bench.rig.chain.mine();
    bench.rig.chain.broadcast(child);
    await bench.bumper.publish([], bench.rig.chain.height);
    expect(released).toEqual([]);
    bench.rig.chain.mine();
    await bench.bumper.publish([], bench.rig.chain.height);
    expect(released).toHaveLength(1);
    expect(bench.sent).toHaveLength(1);
  });

  test('keeps its feerate over a restart, and pays more where what waits is not known', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    await bench.publish();
    const before = bench.waiting.child!.feeSat;
    bench.rig.chain.feeratePerKw = 260;
    bench.restart();
    await bench.emptyBlock();
    expect(bench.sent.map(({ result }) => result)).toEqual(['accepted', 'insufficient_fee', 'accepted']);
    expect(bench.waiting.child!.feeSat).toBeGreaterThan(before);
    const floors = bench.fees.map(({ feeratePerKw }) => feeratePerKw);
    expect(floors).toEqual([4_000, 5_000]);
  });

  test('is paid for again after a reorganisation, with the child confirmed and with it unconfirmed', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    await bench.publish();
    const { chain } = bench.rig;
    chain.mine({ blocks: 2 });
    await bench.bumper.publish([], chain.height);
    chain.reorganise({ depth: 2, transactions: 'none' });
    await bench.publish();
    const { parent, child } = bench.waiting;
    expect([parent !== undefined, child !== undefined]).toEqual([true, true]);
    // The new branch loses what it had.
    chain.mempool.clear();
    await bench.publish();
    expect(bench.waiting.child).toBeDefined();
    chain.mine();
    expect(chain.confirmed(txidToHex(txid(bench.commitment)))).toBeDefined();
  });

  test('binds no coin before a block has the funding of a channel that the peer opened, nor where it is refused', async () => {
    const bench = await Bench.start({ party: 'bob' });
    const { wallet } = bench.rig.bob;
    const { pair, chain } = bench.rig;
    await bench.bumper.publish([pair.bob], chain.height);
    expect([bench.sent.length, wallet.reservedCoins]).toEqual([0, 0]);
    await bench.publish();
    expect([bench.sent.length, wallet.reservedCoins]).toEqual([1, 1]);
    // The block with the funding is undone, and mempools have lost everything: then the coin is free.
    chain.mempool.clear();
    await bench.bumper.publish([pair.bob], chain.height);
    expect([bench.sent.length, wallet.reservedCoins]).toEqual([1, 0]);

    bench.restart();
    bench.refuses = true;
    for (let i = 0; i < 3; i++) await bench.emptyBlock();
    expect(wallet.reservedCoins).toBe(0);
    bench.refuses = false;
    await bench.emptyBlock();
    expect([bench.sent.at(-1)!.result, wallet.reservedCoins]).toEqual(['accepted', 1]);
  });

  test('is paid for by another coin where the one that paid is gone', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    await bench.publish();
    const { chain, alice } = bench.rig;
    const coinOf = (tx: Transaction) => bytesToHex(tx.inputs.at(-1)!.outpoint.txid);
    const child = bench.sent[0]!.tx;
    chain.mempool.clear();
    const other = alice.wallet.pay(alice.wallet.script, 10_000n);
    expect(coinOf(other)).toBe(coinOf(child));
    chain.broadcast(other);
    chain.mine();
    await bench.publish();
    await bench.publish();
    expect(bench.waiting.child).toBeDefined();
    expect(coinOf(bench.sent.at(-1)!.tx)).not.toBe(coinOf(child));
    expect(alice.wallet.reservedCoins).toBe(1);
  });

  test('binds no coin after a restart where nothing is at stake any more', async () => {
    const bench = await Bench.start({ party: 'bob', aliceMsat: fundingSat * 1000n });
    const { pair, chain } = bench.rig;
    const cltvExpiry = chain.height + 40;
    // Of this HTLC we know no preimage: its output gives the commitment an anchor of ours, and is not ours.
    pair.add('alice', { amountMsat: 80_000_000n, preimage: preimage(2), cltvExpiry });
    const { commitment } = bench;
    const { anchor } = anchoredCommitment(commitment, bench.side)!;
    bench.fees.push({ outpoint: anchor.outpoint, feeratePerKw: 5_000 });
    bench.restart();
    await bench.publish();
    expect([bench.sent.length, bench.rig.bob.wallet.reservedCoins]).toEqual([0, 0]);
  });

  test('waits where the wallet cannot pay, says so, and goes on when it can', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 100 });
    bench.rig.alice.wallet.poor = true;
    await bench.publish();
    expect(bench.sent).toEqual([]);
    expect(bench.log.join('')).toContain('put confirmed funds into it');
    bench.rig.alice.wallet.poor = false;
    await bench.emptyBlock();
    expect(bench.waiting.child).toBeDefined();
  });
});

describe('the commitment of the peer that waits in mempools', () => {
  test('is paid for by our anchor on it, while our own could not replace it', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 60 });
    const theirs = bench.rig.pair.commitmentOf('bob');
    bench.rig.chain.broadcast(theirs);
    await bench.publish();
    expect(bench.waiting.parent!.txidHex).toBe(txidToHex(txid(theirs)));
    expect(bench.packageFeerate).toBeGreaterThanOrEqual(4_000);
    bench.rig.chain.mine();
    expect(bench.rig.chain.confirmed(txidToHex(txid(theirs)))).toBeDefined();
  });

  test('takes the place of ours, and ours the place of it', async () => {
    const bench = await Bench.start();
    withReceived(bench, { amountMsat: 300_000_000n, blocks: 60 });
    await bench.publish();
    bench.rig.chain.mempool.clear();
    const theirs = bench.rig.pair.commitmentOf('bob');
    bench.rig.chain.broadcast(theirs);
    await bench.publish();
    expect(bench.waiting.parent!.txidHex).toBe(txidToHex(txid(theirs)));
    expect(bench.waiting.child).toBeDefined();
    bench.rig.chain.mempool.clear();
    await bench.publish();
    expect(bench.waiting.parent!.txidHex).toBe(txidToHex(txid(bench.commitment)));
    expect(bench.waiting.child).toBeDefined();
  });

  test('is left alone where it is a mutual close', async () => {
    const bench = await Bench.start();
    const close = {
      ...bench.commitment,
      outputs: bench.commitment.outputs.filter(({ valueSat }) => valueSat > 330n),
    };
    await new AnchorBumper({
      backend: {
        getMempoolSpend: async () => close,
        broadcastPackage: async () => {
          throw new Error('nothing is to be sent (a test)');
        },
      },
      estimateFeeratePerKw: async () => 50_000,
      wallet: bench.rig.alice.wallet,
      logger: createLogger({ level: 'debug', to: { write: (line) => void bench.log.push(line) } }),
    }).publish([bench.side], bench.rig.chain.height);
    expect(bench.log).toEqual([]);
  });
});
