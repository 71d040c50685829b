import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { openBackup } from '@rivulet/core/backup';
import { bytesToHex } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { afterEach, describe, expect, test } from 'vitest';
import { NodeBackups } from '../../backup/index.js';
import { silentLogger } from '../../logging/index.js';
import { outpointKey } from '../../onchain/outpointKey.js';
import { Pair, startNode, type TestNode, type TestStorage, until } from '../pair.test.support.js';
import { pause } from '../trio.test.support.js';

/**
 * A node dies at each of its transactions in turn, once before it is stored and once when it is stored and nothing of
 * it was let out. What stands beside its channels has to be as durable as they are.
 */
const moments = ['before', 'after'] as const;
const folders: string[] = [];
let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** One of the two, with backups in a folder. */
class BackedUp {
  readonly seed: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'rivulet-threats-'));
  #backups!: NodeBackups;

  constructor(seed: number) {
    this.seed = seed;
    folders.push(this.folder);
  }

  start(chain: RegtestChain, store?: TestStorage): Promise<TestNode> {
    return startNode(chain, {
      seed: this.seed,
      ...(store === undefined ? {} : { store }),
      settings: {
        parts: (node) => {
          const seed = new Uint8Array(64).fill(this.seed);
          this.#backups = new NodeBackups({ node, seed, dataDir: this.folder, logger: silentLogger });
          return this.#backups.parts;
        },
      },
    });
  }

  /** The outpoints of the channels that the file has. */
  get channels(): string[] {
    const sealed = Uint8Array.from(readFileSync(join(this.folder, 'channels.backup')));
    const { channels } = openBackup(sealed, this.#backups.files.keys.key);
    return channels.map(({ fundingOutpoint }) => outpointKey(fundingOutpoint));
  }
}

const outpointsOf = ({ node }: TestNode) =>
  node.channels.map(({ params }) => outpointKey(params.fundingOutpoint));

describe.each(['alice', 'bob'] as const)('threat 26: %s dies while a channel is opened', (dying) => {
  test.each(moments)(
    '%s it is stored: nobody has a part of it that the backup does not have',
    async (when) => {
      let survived = false;
      for (let k = 1; !survived; k++) {
        expect(k).toBeLessThan(20);
        survived = await open(k, when);
        await pair!.stop();
      }
      pair = undefined;
    },
  );

  async function open(k: number, when: 'before' | 'after'): Promise<boolean> {
    const made = new Pair();
    const backed = { alice: new BackedUp(1), bob: new BackedUp(2) };
    for (const name of ['alice', 'bob'] as const) made[name] = await backed[name].start(made.chain);
    pair = made;
    made.chain.mine({ blocks: 101, script: made.alice.node.wallet.newAddress().script });
    await made.caughtUp();
    const peer = await made.connect();
    const { store } = made[dying];
    store.dieAt(k, when);
    let over = false;
    made.alice.node
      .openChannel({ peer, capacitySat: 1_000_000n, pushMsat: 300_000_000n })
      .catch(() => {})
      .finally(() => {
        over = true;
      });
    await until(() => store.dead || over, 'it dies, or all is done');
    await pause();
    const survived = !store.dead;

    // What the other side has, or the mempool, is in the backup of the dead.
    const other = dying === 'alice' ? 'bob' : 'alice';
    const visible = made.chain.mempool
      .entries()
      .flatMap(({ tx }) => tx.outputs.map((_output, index) => outpointKey({ txid: txid(tx), index })));
    const others = outpointsOf(made[other]);
    // The opener tells the outpoint before anything is signed; only then is there something to back up.
    const funded = others.filter((key) => visible.includes(key));
    const known = dying === 'bob' ? others : funded;
    for (const key of known) expect(backed[dying].channels, `${dying} ${when} ${k}`).toContain(key);

    await made[dying].node.stop();
    store.revive();
    made[dying] = await backed[dying].start(made.chain, store);
    expect(backed[dying].channels, `${dying} ${when} ${k}`).toEqual(outpointsOf(made[dying]));
    for (const key of known) expect(outpointsOf(made[dying])).toContain(key);
    // Where both have it, it comes up.
    if (outpointsOf(made.alice).length > 0) {
      expect(outpointsOf(made.bob)).toEqual(outpointsOf(made.alice));
      await until(
        () => made.bob.node.peers.peers.length === 0 || made.alice.node.peers.peers.length > 0,
        'all know',
      );
      await made.connect();
      await pause();
      await made.mine(6);
      await made.usable();
    }
    return survived;
  }
});

describe.each(['commitment', 'timeout'] as const)(
  'threat 26: a node dies when its %s was paid for',
  (what) => {
    const cases = moments.flatMap((when) => [1, 2, 3].map((k) => [when, k] as const));

    test.each(cases)('%s transaction %i from there is stored: it never pays less later', async (when, k) => {
      pair = await Pair.withChannel();
      const made = pair;
      const { chain } = made;
      const { paid, start, dieWhenPaid } = watched(made);
      await made.alice.node.stop();
      made.alice = await start();
      await made.connect();
      await made.usable();
      const { bolt11, paymentHash } = await made.bob.node.payments.invoices.create({
        amountMsat: 100_000_000n,
        description: 'held',
        hold: true,
      });
      const { payInvoice } = made.alice.node.payments.outgoing;
      const sent = payInvoice.call(made.alice.node.payments.outgoing, { invoice: decodeInvoice(bolt11) });
      sent.outcome.catch(() => {});
      await until(() => made.bob.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
      const [channel] = made.alice.node.channels;
      const [htlc] = channel!.htlcs.direction('offered');
      await made.bob.node.stop();

      const { store } = made.alice;
      const mine = async (transactions: 'none' | 'all') => {
        chain.mine(transactions === 'none' ? { transactions } : {});
        await until(() => store.dead || made.alice.node.blockHeight === chain.height, 'the block is seen');
      };
      const key = bytesToHex(channel!.params.channelId);
      const close = () => made.alice.node.closeChannel({ key, force: true }).catch(() => {});
      if (what === 'timeout') {
        await close();
        await until(() => made.closing, 'the commitment is published');
        for (let i = 0; i < 3; i++) await mine('all');
        expect(made.alice.node.channels[0]?.phase.name).toBe('spent');
        while (chain.height < htlc!.cltvExpiry - 1) await mine('none');
      }
      chain.feeratePerKw = 4_000;
      dieWhenPaid({ k, when });
      if (what === 'commitment') {
        await close();
        await until(() => made.closing, 'the commitment is published');
      }
      await mine('none');
      await until(() => paid.size > 0, 'it is paid for');
      for (let i = 0; i < 5 && !store.dead; i++) await mine('none');
      expect(store.dead).toBe(true);
      const before = new Map([...paid].map(([outpoint, feerates]) => [outpoint, feerates.at(-1)!]));

      // The chain asks for little now, and mempools have forgotten everything.
      chain.feeratePerKw = 300;
      chain.mempool.clear();
      await made.alice.node.stop();
      store.revive();
      paid.clear();
      made.alice = await start(store);
      await until(() => paid.size > 0, 'it is paid for again');
      await mine('none');
      for (const [outpoint, feerate] of before) {
        for (const again of paid.get(outpoint) ?? []) expect(again).toBeGreaterThanOrEqual(feerate * 0.98);
      }
      expect([...before.keys()].filter((outpoint) => paid.has(outpoint))).not.toEqual([]);
      made.bob = await startNode(chain, { seed: 2, store: made.bob.store });
      await made.caughtUp();
    });
  },
);

/**
 * Alice over a backend that notes what she pays for outputs of commitments, above 3,000 satoshis a 1000 weight units
 * at first; of a dead process nothing goes out.
 */
function watched({ chain, alice }: Pair): {
  /** By what is spent, in its order. */
  readonly paid: Map<string, number[]>;
  start(store?: TestStorage): Promise<TestNode>;
  /** At the k-th transaction after the next payment. */
  dieWhenPaid(death: { readonly k: number; readonly when: 'before' | 'after' }): void;
} {
  const paid = new Map<string, number[]>();
  let death: { readonly k: number; readonly when: 'before' | 'after' } | undefined;
  let waiting = true;
  const { fundingOutpoint } = alice.node.channels[0]!.params;
  const note = (tx: Transaction, store: TestStorage) => {
    const entry = chain.mempool.get(txidToHex(txid(tx)));
    const spendsFunding = tx.inputs.some(
      ({ outpoint }) => outpointKey(outpoint) === outpointKey(fundingOutpoint),
    );
    if (spendsFunding)
      for (const index of tx.outputs.keys()) commitment.add(outpointKey({ txid: txid(tx), index }));
    if (entry === undefined || spendsFunding || (waiting && death === undefined)) return;
    const feerate = (Number(entry.feeSat) * 250) / entry.vsize;
    for (const { outpoint } of tx.inputs) {
      const key = outpointKey(outpoint);
      if (commitment.has(key)) paid.set(key, [...(paid.get(key) ?? []), feerate]);
    }
    if (paid.size === 0 || !waiting || death === undefined) return;
    waiting = false;
    store.dieAt(death.k, death.when);
  };
  const commitment = new Set<string>();
  return {
    paid,
    dieWhenPaid: (wanted) => {
      death = wanted;
    },
    start(store = alice.store) {
      const backend = embeddedBackend(chain);
      const { broadcast, broadcastPackage } = backend;
      const alive = () => {
        if (store.dead) throw new Error('the process is dead (a test)');
      };
      backend.broadcast = async (tx) => {
        alive();
        const result = await broadcast(tx);
        if (result.accepted) note(tx, store);
        return result;
      };
      backend.broadcastPackage = async (txs) => {
        alive();
        const result = await broadcastPackage(txs);
        for (const tx of txs) note(tx, store);
        return result;
      };
      return startNode(chain, { seed: 1, store, backend });
    },
  };
}
