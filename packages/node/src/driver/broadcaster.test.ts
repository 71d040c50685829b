import type { BroadcastResult, ChainBackend } from '@rivulet/chain';
import type { Transaction } from '@rivulet/core/tx';
import { expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { Broadcaster } from './broadcaster.js';

const txid = (fill: number) => new Uint8Array(32).fill(fill);

function spending(fill: number, valueSat = 1_000n): Transaction {
  return {
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: txid(fill), index: 0 },
        scriptSig: new Uint8Array(0),
        sequence: 0xffff_fffd,
        witness: [],
      },
    ],
    outputs: [{ valueSat, script: Uint8Array.of(0x51) }],
  };
}

function broadcasterWith(results: BroadcastResult[]): { broadcaster: Broadcaster; sent: Transaction[] } {
  const sent: Transaction[] = [];
  const backend = {
    broadcast: async (tx: Transaction) => {
      sent.push(tx);
      return results[sent.length - 1] ?? { accepted: true };
    },
  } as unknown as ChainBackend;
  return { broadcaster: new Broadcaster({ backend, logger: silentLogger }), sent };
}

const missing: BroadcastResult = { accepted: false, code: 'missing_inputs', message: 'a test' };

test('a commitment whose funding transaction is not there yet is sent again until it is', async () => {
  const { broadcaster, sent } = broadcasterWith([missing, missing]);
  const tx = spending(1);
  await broadcaster.publish(tx, 'commitment');
  broadcaster.rebroadcast();
  broadcaster.rebroadcast();
  await broadcaster.settled();
  expect(sent).toEqual([tx, tx, tx]);
});

test('what is confirmed, and what conflicts with it, is not sent again', async () => {
  const { broadcaster, sent } = broadcasterWith([]);
  await broadcaster.publish(spending(1), 'commitment');
  await broadcaster.publish(spending(2), 'closing');
  await broadcaster.publish(spending(3), 'closing');
  broadcaster.confirmed({ height: 7, transactions: [spending(1), spending(2, 900n)] });
  broadcaster.rebroadcast();
  await broadcaster.settled();
  expect(sent.slice(3)).toEqual([spending(3)]);
});

test.each(['invalid', 'already_confirmed'] as const)(
  'what a server calls %s is sent ever more rarely, until a block has it: the server may be wrong',
  async (code) => {
    const refused: BroadcastResult = { accepted: false, code, message: 'a test' };
    const { broadcaster, sent } = broadcasterWith(Array.from({ length: 100 }, () => refused));
    await broadcaster.publish(spending(1), 'closing');
    const after: number[] = [];
    for (let block = 1; block <= 400; block++) {
      broadcaster.rebroadcast();
      await broadcaster.settled();
      if (sent.length > after.length + 1) after.push(block);
    }
    expect(after).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 383]);
    broadcaster.confirmed({ height: 500, transactions: [spending(1)] });
    for (let block = 1; block <= 200; block++) broadcaster.rebroadcast();
    await broadcaster.settled();
    expect(sent).toHaveLength(after.length + 1);
  },
);

test('what a block had is sent again when that block is undone, however often that happens', async () => {
  const { broadcaster, sent } = broadcasterWith([]);
  const tx = spending(1);
  await broadcaster.publish(tx, 'closing');
  const sends = async (): Promise<number> => {
    sent.length = 0;
    broadcaster.rebroadcast();
    await broadcaster.settled();
    return sent.length;
  };
  for (const height of [7, 8]) {
    broadcaster.confirmed({ height, transactions: [tx] });
    expect(await sends()).toBe(0);
    broadcaster.undone(height + 1);
    expect(await sends()).toBe(0);
    broadcaster.undone(height);
    expect(await sends()).toBe(1);
  }
  // Too deep to be undone: nothing is kept of it.
  broadcaster.confirmed({ height: 9, transactions: [tx] });
  broadcaster.confirmed({ height: 200, transactions: [] });
  broadcaster.undone(9);
  expect(await sends()).toBe(0);
});
