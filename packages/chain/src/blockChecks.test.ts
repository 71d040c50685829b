import { sha256 } from '@rivulet/core/crypto';
import { type Transaction, withWitness } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { type Block, merkleRoot } from './block.js';
import { blockFault } from './blockChecks.js';
import { prepareTransaction } from './regtest/preparedTransaction.js';
import { RegtestChain } from './regtest/regtestChain.js';
import { TestWallet } from './regtest/testWallet.js';

const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
const wallet = new TestWallet();
for (const coin of wallet.fund(chain, 3)) chain.broadcast(wallet.sweep([coin], 1000n));
chain.mine();

function blockAt(height: number): Block {
  const { header, transactions } = chain.blockAt(height)!;
  return { header, transactions: transactions.map(({ tx }) => tx) };
}

/** The block with the header that these transactions need, but for its proof of work. */
function rebuilt(transactions: readonly Transaction[]): Block {
  const root = merkleRoot(transactions.map((tx) => prepareTransaction(tx).txid));
  return { header: { ...block.header, merkleRoot: root }, transactions };
}

const block = blockAt(chain.height);
const [coinbase, ...others] = block.transactions as [Transaction, ...Transaction[]];
const fault = (one: Block) => blockFault(one, { network: 'regtest' });

describe('a block', () => {
  test('as it was mined is sound, with and without transactions, genesis included', () => {
    expect(block.transactions).toHaveLength(4);
    for (const height of [chain.height, 1, 0]) expect(fault(blockAt(height))).toBeUndefined();
  });

  test('with another transaction, or one less, or in another order, is not', () => {
    const swapped = [coinbase, others[1]!, others[0]!, others[2]!];
    const changed = [coinbase, { ...others[0]!, lockTime: 1 }, others[1]!, others[2]!];
    for (const transactions of [block.transactions.slice(0, -1), swapped, changed]) {
      expect(fault({ ...block, transactions })).toMatch(/not those of its header/);
    }
  });

  test('with another witness is not, although no id has changed', () => {
    const forged = withWitness(others[0]!, 0, [new Uint8Array(71), wallet.publicKey]);
    expect(fault({ ...block, transactions: [coinbase, forged, ...others.slice(1)] })).toMatch(
      /its witnesses/,
    );
  });

  test('with witnesses and no commitment is not', () => {
    const bare = { ...coinbase, outputs: coinbase.outputs.slice(0, 1) };
    expect(fault(rebuilt([bare, ...others]))).toMatch(/does not commit/);
    const [input] = coinbase.inputs;
    const short = { ...coinbase, inputs: [{ ...input!, witness: [] }] };
    expect(fault(rebuilt([short, ...others]))).toMatch(/witness it needs/);
  });

  test('that repeats its end, which its merkle root does not show, is not', () => {
    const odd = rebuilt([coinbase, others[0]!, others[1]!]);
    const longer = { ...odd, transactions: [...odd.transactions, others[1]!] };
    expect(merkleRoot(longer.transactions.map((tx) => prepareTransaction(tx).txid))).toEqual(
      odd.header.merkleRoot,
    );
    expect(fault(longer)).toMatch(/twice/);
  });

  test('without transactions, or without a coinbase, is none', () => {
    expect(fault(rebuilt([]))).toMatch(/coinbase/);
    expect(fault(rebuilt(others))).toMatch(/coinbase/);
  });

  test('of another height than it says is refused where heights are in coinbases', () => {
    const { height } = chain;
    for (const network of ['mainnet', 'testnet4', 'signet'] as const) {
      const asked = network === 'mainnet' ? 800_000 : height + 1;
      expect(blockFault(block, { network, height: asked })).toMatch(/not the block of height/);
    }
    expect(blockFault(block, { network: 'signet', height })).toBeUndefined();
    expect(blockFault(block, { network: 'mainnet', height: 1000 })).toBeUndefined();
  });

  test('whose commitment is followed by another is judged by the last', () => {
    const wrong = {
      valueSat: 0n,
      script: Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed, ...sha256(Uint8Array.of(1))),
    };
    expect(
      fault(rebuilt([{ ...coinbase, outputs: [wrong, ...coinbase.outputs] }, ...others])),
    ).toBeUndefined();
    expect(fault(rebuilt([{ ...coinbase, outputs: [...coinbase.outputs, wrong] }, ...others]))).toMatch(
      /its witnesses/,
    );
  });
});
