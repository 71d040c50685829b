import { describe, expect, test } from 'vitest';
import { readBoostagram } from '../boostagram/index.js';
import { budgetState, type LegPlan, setBudget } from '../ledger/index.js';
import { nodeIdOf } from '../ledger/ledger.test.support.js';
import { boostagramRecordType } from '../records/index.js';
import { carriedMsat } from '../value/index.js';
import { type BoostRequest, boost, boostResult } from './boost.js';
import { paidBy, row, SessionWorld, testPlan } from './sessions.test.support.js';

const request: BoostRequest = {
  boostUuid: '6f1c1f3e-2a0b-4c5d-8e9f-000000000001',
  plan: testPlan,
  amountMsat: 1_000_000n,
  positionSeconds: 95,
  message: 'what a song',
  sender: { senderName: 'Ada', appName: 'test' },
};

describe('a boost', () => {
  test('pays every share, with one boostagram each', async () => {
    const world = new SessionWorld();
    const result = await boost(world.ledger(), request);
    expect(paidBy(world.wallet)).toEqual({ 1: 58_800n, 2: 39_200n, 3: 20_000n, 4: 882_000n });
    expect(result).toMatchObject({ paidMsat: 1_000_000n, feesMsat: 0n, carried: {}, warnings: [] });
    const grams = result.legs.map(({ leg }) => {
      const bytes = leg.records.get(boostagramRecordType);
      const { boostagram } = readBoostagram(bytes as Uint8Array);
      return boostagram;
    });
    expect(grams[0]).toEqual({
      action: 'boost',
      podcast: 'Show',
      guid: 'feed-guid',
      url: 'https://show.example/feed.xml',
      episode: 'Episode',
      episodeGuid: 'item-guid',
      ts: 95,
      time: '00:01:35',
      senderName: 'Ada',
      appName: 'test',
      message: 'what a song',
      name: 'r1',
      valueMsat: 58_800n,
      valueMsatTotal: 1_000_000n,
      boostUuid: request.boostUuid,
      uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/),
    });
    expect(new Set(grams.map((gram) => gram?.boostUuid)).size).toBe(1);
    expect(new Set(grams.map((gram) => gram?.uuid)).size).toBe(4);
    expect(grams.map((gram) => gram?.remoteItemGuid)).toEqual([undefined, undefined, 'song-guid', undefined]);
    expect(result.legs.map(({ fee }) => fee)).toEqual([false, false, false, true]);
  });

  test('is the same boost when it is sent again, and another one needs another id', async () => {
    const world = new SessionWorld();
    await boost(world.ledger(), request);
    const again = await boost(world.ledger(), request);
    expect(again.paidMsat).toBe(1_000_000n);
    expect(world.wallet.requests).toHaveLength(4);
    await expect(boost(world.ledger(), { ...request, amountMsat: 5n })).rejects.toThrow(/another boost/);
  });

  test('says which share was not paid, and pays it later without paying the others again', async () => {
    let works = false;
    const world = new SessionWorld((key) =>
      key.endsWith(':1') && !works ? { does: 'fail', retryable: false } : { does: 'pay' },
    );
    const ledger = world.ledger();
    const result = await boost(ledger, request);
    expect(result.legs.map(({ leg }) => leg.state)).toEqual([
      'succeeded',
      'failed',
      'succeeded',
      'succeeded',
    ]);
    expect(result.paidMsat).toBe(960_800n);
    works = true;
    ledger.retry(result.legs.filter(({ leg }) => leg.state === 'failed').map(({ leg }) => leg.key));
    expect((await boost(ledger, request)).paidMsat).toBe(1_000_000n);
    expect([...world.wallet.paid.values()].every(({ times }) => times === 1)).toBe(true);
  });

  test('carries what is below a satoshi to the next boost of the feed', async () => {
    const world = new SessionWorld();
    const small = { ...request, amountMsat: 10_000n, positionSeconds: 0 };
    const first = await boost(world.ledger(), small);
    expect(paidBy(world.wallet)).toEqual({ 1: 5_880n, 2: 3_920n });
    expect(carriedMsat(first.carried)).toBe(200n);
    for (const n of [2, 3, 4, 5]) await boost(world.ledger(), { ...small, boostUuid: `boost ${n}` });
    expect(paidBy(world.wallet)).toEqual({ 1: 29_400n, 2: 19_600n, 3: 1_000n });
    expect(boostResult(world.ledger(), request.boostUuid)).toEqual(first);
  });

  test('is refused as a whole where its budget does not reach, and leaves nothing behind', async () => {
    const world = new SessionWorld();
    const budgets = ['boosts'];
    world.store.transaction((tx) =>
      setBudget(tx, { name: 'boosts', amountMsat: 1_050_000n, period: 'episode' }),
    );
    const maxFeeMsat = () => 10_000n;
    await boost(world.ledger(), { ...request, budgets, maxFeeMsat });
    const state = () =>
      budgetState(world.store, { name: 'boosts', atMs: world.time.nowMs, scope: 'item-guid' });
    expect(state()).toMatchObject({ usedMsat: 1_000_000n, reservedMsat: 0n });
    const second = { ...request, budgets, maxFeeMsat, boostUuid: 'two', amountMsat: 40_000n };
    await expect(boost(world.ledger(), second)).rejects.toThrow(/budget boosts has 50 sat left/);
    expect(world.wallet.requests).toHaveLength(4);
    expect(world.ledger().summary('boost:two').legs).toBe(0);
    expect((await boost(world.ledger(), { ...second, maxFeeMsat: () => 0n })).paidMsat).toBeGreaterThan(0n);
  });

  test('trims what has no room, and tells', async () => {
    const world = new SessionWorld();
    const plan = {
      ...testPlan,
      block: {
        ...testPlan.block,
        recipients: [row(1, 1), row(2, 1, { customKey: '696969', customValue: 'x'.repeat(300) })],
      },
    };
    const message = 'm'.repeat(600);
    const result = await boost(world.ledger(), { ...request, plan, message, positionSeconds: 0 });
    const [whole, cut] = result.legs.map(({ trimmed }) => trimmed.find(({ field }) => field === 'message'));
    expect(whole).toBeUndefined();
    expect(cut?.lost).toBeGreaterThan(0);
    expect(result.paidMsat).toBe(1_000_000n);
  });

  test('can be signed, also where another boost of the feed comes in between', async () => {
    const world = new SessionWorld();
    const ledger = world.ledger();
    const small = { ...request, amountMsat: 10_000n, positionSeconds: 0, reserveBytes: 100 };
    let proofs = 0;
    const prove = async (leg: LegPlan): Promise<LegPlan> => {
      if (proofs++ === 0) await boost(ledger, { ...small, boostUuid: 'between' });
      return { ...leg, records: new Map([...leg.records, [65_537n, Uint8Array.of(proofs)]]) };
    };
    const result = await boost(ledger, small, { prove });
    expect(proofs).toBe(4);
    expect(result.legs.map(({ leg }) => leg.records.get(65_537n)?.length)).toEqual([1, 1]);
    expect(carriedMsat(result.carried)).toBe(400n);
    expect(await boost(ledger, small, { prove })).toEqual(result);
    expect(proofs).toBe(4);
  });

  test('pays an address with the message as its comment', async () => {
    const world = new SessionWorld();
    const recipients = [row(1, 1), row(2, 1, { type: 'lnaddress', address: 'a@b.c' })];
    const plan = { ...testPlan, block: { ...testPlan.block, recipients, timeSplits: [] } };
    const result = await boost(world.ledger(), { ...request, plan });
    expect(result.legs.map(({ leg }) => leg.comment)).toEqual([undefined, 'what a song']);
    expect(result.legs.map(({ leg }) => leg.recipient.address)).toEqual([nodeIdOf(1), 'a@b.c']);
    expect(result.paidMsat).toBe(1_000_000n);
  });
});
