import { describe, expect, test } from 'vitest';
import type { Settlement } from './htlc.js';
import { Bench, type MessageNamed } from './model/bench.test.support.js';
import { preimageOf } from './model/setup.test.support.js';

const attributionData = new Uint8Array(920).fill(0x5a);
const fulfilled: Settlement = { type: 'fulfill', preimage: preimageOf(0), attributionData };
const failed: Settlement = { type: 'fail', reason: new Uint8Array(292), attributionData };

function withHtlc(): Bench {
  const bench = new Bench();
  bench.alice.add();
  bench.commit();
  bench.alice.clear();
  return bench;
}

describe('attribution data', () => {
  test.each([fulfilled, failed])('goes with a settlement that is a $type, first and again', (settlement) => {
    const bench = withHtlc();
    const { alice, bob } = bench;
    bob.settle(0n, settlement);
    bob.sign();
    for (let round = 0; round < 2; round++) {
      const removal = alice.inbox.find((message) => 'attributionData' in message);
      expect(removal).toMatchObject({ id: 0n, attributionData });
      bench.disconnect();
      bench.connect();
      bench.deliver('bob');
    }
    bench.commit();
    const told = alice.events.filter(({ type }) => type === 'htlcFulfilled' || type === 'htlcFailed');
    expect(told).toMatchObject(
      settlement.type === 'fulfill'
        ? [{ type: 'htlcFulfilled', attributionData, htlc: { settlement: { attributionData } } }]
        : [{ type: 'htlcFailed', settlement: { type: 'fail', attributionData } }],
    );
  });

  test('that is not there leaves no trace', () => {
    const bench = withHtlc();
    const { alice, bob } = bench;
    bob.settle(0n);
    const [removal] = alice.inbox as [MessageNamed<'update_fulfill_htlc'>];
    expect('attributionData' in removal).toBe(false);
    bench.commit();
    const [event] = alice.events.filter(({ type }) => type === 'htlcFulfilled');
    expect('attributionData' in (event as object)).toBe(false);
  });

  test('of a length that no message can hold does not hold up a settlement', () => {
    const bench = withHtlc();
    bench.bob.settle(0n, { ...fulfilled, attributionData: new Uint8Array(919) });
    bench.commit();
    expect(bench.alice.channel.htlcs.size).toBe(0);
    expect(bench.bob.channel.localMsat).toBe(410_000_000n);
  });
});
