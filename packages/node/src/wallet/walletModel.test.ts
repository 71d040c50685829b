import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planBump, planCancel } from './bumping.js';
import { outpointText } from './coinStates.js';
import { outpointKey } from './ledger.js';
import { lockCoins, unlockCoins } from './locking.js';
import { commitPsbt, createPsbt, signPsbt } from './psbt.js';
import { planSend } from './sending.js';
import { WalletError } from './walletError.js';
import { foreign, stranger, WalletRig } from './walletRig.test.support.js';

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('send' as const), sat: fc.bigInt({ min: 400n, max: 60_000n }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sendAll' as const), keep: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('receive' as const),
      sat: fc.bigInt({ min: 400n, max: 90_000n }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('bump' as const), which: fc.nat(9), awaited: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('lock' as const, 'hold' as const), which: fc.nat(9) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('unlock' as const, 'unhold' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('psbt' as const, 'finishPsbt' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('fund' as const, 'release' as const, 'publish' as const) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('mine' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reorganise' as const),
      depth: fc.integer({ min: 1, max: 5 }),
      empty: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const expected = new Set([
  'insufficient_funds',
  'cannot_bump',
  'feerate_too_low',
  'reserve_needed',
  'coin_taken',
  'fee_absurd',
  'psbt_refused',
  'transaction_confirmed',
]);

/** What a run has done, so that a test that does nothing is seen. */
const done = new Map<string, number>();

class Model {
  readonly rig = new WalletRig();
  readonly psbts: Uint8Array[] = [];
  readonly committed: Transaction[] = [];
  /** Published by somebody else in the node, who sends them again. */
  readonly fundings: Transaction[] = [];

  async take(one: Step): Promise<void> {
    try {
      await this.#do(one);
      done.set(one.kind, (done.get(one.kind) ?? 0) + 1);
    } catch (error) {
      // A refusal changes nothing: what follows checks it.
      if (!(error instanceof WalletError) || !expected.has(error.code)) throw error;
    }
    this.check();
  }

  async #do(one: Step): Promise<void> {
    const { rig } = this;
    const { state, wallet } = rig;
    const pick = (which: number) => {
      const waiting = wallet.transactions().filter(({ height }) => height === undefined);
      return waiting[which % Math.max(waiting.length, 1)];
    };
    switch (one.kind) {
      case 'send':
        this.committed.push(
          rig.send({ outputs: [{ valueSat: one.sat, script: foreign }], feeratePerKw: 400 }),
        );
        return;
      case 'sendAll': {
        const reserveSat = one.keep ? 5_000n : 0n;
        const plan = planSend(state, { outputs: [], allTo: stranger, feeratePerKw: 400, reserveSat });
        this.committed.push(rig.commit(plan));
        return;
      }
      case 'receive':
        rig.pay([{ valueSat: one.sat, script: wallet.newAddress().script }]);
        return;
      case 'bump': {
        const target = pick(one.which);
        if (target === undefined) return;
        const request = { estimatePerKw: 253, reserveSat: 0n, isAwaited: () => one.awaited };
        this.committed.push(rig.commit(planBump(state, { ...request, txid: target.txid })));
        return;
      }
      case 'cancel': {
        const target = pick(one.which);
        if (target === undefined) return;
        const request = { estimatePerKw: 253, reserveSat: 0n, isAwaited: () => false };
        this.committed.push(rig.commit(planCancel(state, { ...request, txid: target.txid })));
        return;
      }
      case 'lock':
      case 'hold': {
        const coins = wallet.coins();
        const coin = coins[one.which % Math.max(coins.length, 1)];
        if (coin === undefined) return;
        if (one.kind === 'lock') lockCoins(state, [coin.outpoint]);
        else if (coin.state === 'confirmed') wallet.hold('claim', [coin.outpoint]);
        return;
      }
      case 'unlock':
        unlockCoins(
          state,
          wallet.coins().map(({ outpoint }) => outpoint),
        );
        return;
      case 'unhold':
        wallet.hold('claim', []);
        return;
      case 'psbt':
        this.psbts.push(
          createPsbt(state, {
            outputs: [{ valueSat: 2_000n, script: foreign }],
            feeratePerKw: 400,
            reserveSat: 0n,
          }).psbt,
        );
        return;
      case 'finishPsbt': {
        const psbt = this.psbts.shift();
        if (psbt === undefined) return;
        const { tx } = commitPsbt(state, signPsbt(state, psbt).psbt, { nowMs: rig.nowMs++ });
        rig.chain.broadcast(tx);
        this.committed.push(tx);
        return;
      }
      case 'fund':
        wallet.fund({ outputs: [{ valueSat: 3_000n, script: stranger }], feeratePerKw: 400 });
        return;
      case 'release':
      case 'publish': {
        const [reserved] = wallet.reservations();
        if (reserved === undefined) return;
        if (one.kind === 'release') wallet.release(txid(reserved));
        else {
          rig.chain.broadcast(reserved);
          wallet.addUnconfirmed(reserved);
          this.fundings.push(reserved);
        }
        return;
      }
      case 'mine':
        rig.mine();
        return;
      case 'reorganise':
        rig.chain.reorganise({
          depth: one.depth,
          blocks: one.depth + 1,
          transactions: one.empty ? 'none' : 'mempool',
        });
        rig.follow();
        await this.#resend();
        return;
      case 'restart': {
        wallet.hold('claim', []);
        const before = { coins: wallet.coins(), balance: wallet.balance() };
        rig.restart();
        expect({ coins: rig.wallet.coins(), balance: rig.wallet.balance() }).toEqual(before);
        return;
      }
      default:
        one satisfies never;
    }
  }

  /** A reorganisation to a lower height drops what is not final there: all send their own again. */
  async #resend(): Promise<void> {
    const { rig } = this;
    const theirs = rig.other.transactions().filter(({ height }) => height === undefined);
    for (const _ of theirs) for (const { tx } of theirs) rig.refusal(tx);
    for (const _ of this.fundings) for (const tx of this.fundings) rig.refusal(tx);
    await rig.publisher().republish();
    for (const tx of this.fundings) rig.refusal(tx);
    await rig.publisher().republish();
  }

  /** What holds at every moment. */
  check(): void {
    const { state, wallet } = this.rig;
    const spent = new Map<string, string>();
    const use = (tx: Transaction, of: string): void => {
      for (const { outpoint } of tx.inputs) {
        const key = outpointKey(outpoint);
        if (outpoint.index === 0xffff_ffff) continue;
        expect(spent.get(key), `${outpointText(outpoint)} is used by ${of} as well`).toBeUndefined();
        spent.set(key, of);
      }
    };
    for (const [key, { tx }] of state.ledger.transactions) {
      use(tx, key);
      const feeSat = state.feeSat(tx);
      if (feeSat !== undefined) expect(feeSat).toBeGreaterThan(0n);
    }
    for (const [key, tx] of state.reserved) use(tx, `reservation ${key}`);
    for (const { outpoint } of wallet.spendableCoins()) {
      expect(spent.has(outpointKey(outpoint))).toBe(false);
      expect(state.isTaken(outpointKey(outpoint))).toBe(false);
    }
  }

  /** When all is mined, the wallet has what the chain says it has, to the satoshi. */
  async settle(): Promise<void> {
    const { rig } = this;
    for (const tx of rig.wallet.reservations()) rig.wallet.release(txid(tx));
    await this.#resend();
    rig.mine();
    const ours = new Set(rig.wallet.scripts().map(bytesToHex));
    const chain = [...rig.chain.coins()].filter(([, { script }]) => ours.has(bytesToHex(script)));
    const chainSat = chain.reduce((sum, [, { valueSat }]) => sum + valueSat, 0n);
    expect(rig.wallet.balance()).toEqual({
      confirmedSat: chainSat,
      unconfirmedSat: 0n,
      immatureSat: 0n,
      reservedSat: 0n,
    });
    expect(rig.wallet.coins().length).toBe(chain.length);
    // Every payment is in a block, replaced, or told as lost: none is forgotten.
    for (const tx of this.committed) {
      const key = bytesToHex(txid(tx));
      const note = rig.state.notes.get(key);
      expect(note, txidToHex(txid(tx))).toBeDefined();
      const confirmed = rig.state.ledger.transactions.get(key)?.height !== undefined;
      expect(confirmed || note?.lost !== undefined).toBe(true);
    }
  }
}

test('any sequence of payments, replacements, locks, PSBTs, blocks, reorganisations and restarts keeps the books', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
      const model = new Model();
      model.rig.fill([90_000n, 60_000n, 40_000n]);
      model.rig.fill([30_000n, 20_000n], 'p2wpkh');
      for (const one of steps) await model.take(one);
      await model.settle();
    }),
    { numRuns: Number(process.env.WALLET_MODEL_RUNS ?? 12) },
  );
  for (const kind of ['send', 'bump', 'cancel', 'reorganise', 'restart', 'finishPsbt', 'publish']) {
    expect(done.get(kind), kind).toBeGreaterThan(0);
  }
}, 600_000);
