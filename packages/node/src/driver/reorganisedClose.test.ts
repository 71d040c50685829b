import { scriptToAddress } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { p2wshScript, txid, txidToHex } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';
import { createService } from './service.js';

let pair: Pair;
beforeEach(async () => {
  pair = await Pair.withChannel();
});
afterEach(() => pair.stop());

const somebody = scriptToAddress(p2wshScript(Uint8Array.of(0x51)), 'regtest');

/** Blocks that no wallet transaction is in, in the place of the last ones. */
async function reorganise(depth: number): Promise<void> {
  const before = pair.chain.tip.height;
  pair.chain.reorganise({ depth, blocks: depth + 1, transactions: 'none' });
  await until(() => pair.alice.node.blockHeight === before + 1, 'the new branch is followed');
  await pair.caughtUp();
}

describe('a payment of coins that came out of a channel', () => {
  test.each([
    ['of another block', 1],
    ['that takes the close with it', 5],
  ])('is not forgotten in a reorganisation %s, nor made twice', async (_, depth) => {
    const { node } = pair.alice;
    const api = createService({ node, alias: 'alice', version: '0', onStop: () => {} });
    const [channel] = node.channels;
    await api.closeChannel({ channelId: bytesToHex(channel!.params.channelId) });
    await until(() => pair.closing, 'the closing transaction is published');
    await pair.mine(4);
    const phase = node.channels[0]!.phase;
    if (phase.name !== 'spent') throw new Error(`the channel is ${phase.name}`);
    const closeTxid = txidToHex(txid(phase.by));
    const coin = (await api.coins({})).coins.find((one) => one.coin.startsWith(closeTxid));
    const request = {
      recipients: [{ address: somebody, amountSat: 100_000n }],
      coins: [coin!.coin],
      idempotencyKey: 'rent',
    };
    const { txidHex } = await api.send(request);
    expect(pair.chain.mempool.get(txidHex)).toBeDefined();
    await reorganise(depth);
    const listed = (await api.transactions({})).transactions.find((one) => one.txidHex === txidHex);
    expect(listed?.state).toBe('unconfirmed');
    expect(await api.send(request)).toMatchObject({ txidHex, repeated: true });
    // Its lock time was the height of a block that is gone: mempools forget it for a moment.
    await until(() => pair.chain.mempool.get(txidHex) !== undefined, 'it is broadcast again');
  });
});
