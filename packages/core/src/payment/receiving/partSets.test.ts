import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, equalBytes } from '../../bytes/index.js';
import { sha256 } from '../../crypto/index.js';
import type { ReceivedPart } from './judgeFinal.js';
import { type AddedPart, type EndedSet, type HtlcRef, PartSets } from './partSets.js';

const blockHeight = 800_000;
const startMs = 1_700_000_000_000;
const preimages = [1, 2, 3, 4].map((value) => new Uint8Array(32).fill(value));
const channels = [0xc1, 0xc2].map((value) => new Uint8Array(32).fill(value));

interface Sent {
  readonly payment?: number;
  readonly secret?: string;
  readonly kind?: 'keysend' | 'invoice';
  readonly hold?: boolean;
  readonly totalMsat?: bigint;
  readonly intendedMsat?: bigint;
  readonly cltvExpiry?: number;
  readonly record?: number;
}

function partOf(sent: Sent): ReceivedPart {
  const { payment = 0, secret = 'a', kind = 'invoice', hold = false, record = 0 } = sent;
  const { totalMsat = 100n, intendedMsat = 50n, cltvExpiry = blockHeight + 40 } = sent;
  const preimage = preimages[payment] as Uint8Array;
  return {
    key: `${payment}${secret}`,
    paymentHash: sha256(preimage),
    kind,
    totalMsat,
    intendedMsat,
    amountMsat: intendedMsat + 1n,
    cltvExpiry,
    ...(hold ? {} : { preimage }),
    customRecords: new Map([[70_001n, Uint8Array.of(record)]]),
  };
}

const refOf = (id: number): HtlcRef => ({
  channelId: channels[id % 2] as Uint8Array,
  htlcId: BigInt(id >> 1),
});
const textOf = (ref: HtlcRef) => `${bytesToHex(ref.channelId)}/${ref.htlcId}`;

/** HTLCs in the order of their ids. */
function setup(sets = new PartSets()) {
  let id = 0;
  const send = (sent: Sent = {}, { peer = 'p', nowMs = startMs } = {}): AddedPart =>
    sets.add({
      part: partOf(sent),
      ref: refOf(id++),
      sharedSecret: new Uint8Array(32).fill(id),
      peer,
      nowMs,
      blockHeight,
    });
  return { sets, send };
}

const idsOf = (parts: readonly { readonly ref: HtlcRef }[]) => parts.map(({ ref }) => textOf(ref));
const ids = (...numbers: number[]) => numbers.map((number) => textOf(refOf(number)));

test('a payment in one part is complete at once', () => {
  const { sets, send } = setup();
  const added = send({ intendedMsat: 100n });
  expect(added).toMatchObject({
    type: 'complete',
    ended: [],
    set: { totalMsat: 100n, amountMsat: 101n, preimage: preimages[0] },
  });
  expect(sets.nextExpiryMs()).toBeUndefined();
  // Nothing of it is left that could be completed again.
  expect(send({ intendedMsat: 50n }).type).toBe('incomplete');
});

test('a payment in parts is complete with the last, and keeps the records of the first', () => {
  const { send } = setup();
  expect(send({ intendedMsat: 30n, record: 1 })).toEqual({ type: 'incomplete', ended: [] });
  expect(send({ intendedMsat: 30n, record: 2 })).toEqual({ type: 'incomplete', ended: [] });
  const added = send({ intendedMsat: 60n, record: 3 });
  if (added.type !== 'complete') throw new Error(added.type);
  expect(idsOf(added.set.parts)).toEqual(ids(0, 1, 2));
  expect(added.set).toMatchObject({ totalMsat: 100n, amountMsat: 123n });
  expect(added.set.customRecords).toEqual(new Map([[70_001n, Uint8Array.of(1)]]));
});

test('what counts is what the sender means each part to be, and not what a forwarder puts on top', () => {
  const { send } = setup();
  send({ intendedMsat: 50n });
  // Both HTLCs are worth 101 msat together.
  expect(send({ intendedMsat: 49n }).type).toBe('incomplete');
  expect(send({ intendedMsat: 1n }).type).toBe('complete');
});

test('payments do not mix', () => {
  const { send } = setup();
  expect(send({ payment: 0 }).type).toBe('incomplete');
  expect(send({ payment: 1 }).type).toBe('incomplete');
  expect(send({ payment: 1 })).toMatchObject({ type: 'complete', set: { preimage: preimages[1] } });
});

test('an HTLC that is added again does not count again', () => {
  const { sets } = setup();
  const add = () =>
    sets.add({
      part: partOf({}),
      ref: refOf(0),
      sharedSecret: new Uint8Array(32),
      peer: 'p',
      nowMs: startMs,
      blockHeight,
    });
  expect([add().type, add().type, add().type]).toEqual(['incomplete', 'incomplete', 'incomplete']);
});

describe('a part is refused', () => {
  const details = { type: 'incorrect_or_unknown_payment_details', htlcMsat: 51n, height: blockHeight };

  test('with all of its set where the total differs', () => {
    const { sets, send } = setup();
    send();
    const added = send({ totalMsat: 101n });
    expect(added).toMatchObject({
      type: 'refuse',
      cause: 'total_mismatch',
      failure: details,
      ended: [{ reason: 'total_mismatch', wasHeld: false, parts: [{ failure: details }] }],
    });
    expect(idsOf(added.ended[0]?.parts ?? [])).toEqual(ids(0));
    expect(sets.nextExpiryMs()).toBeUndefined();
  });

  test.each([
    ['with another secret', 'secret_mismatch', { secret: 'b' }],
    ['of another kind', 'kind_mismatch', { kind: 'keysend' }],
    ['without the preimage that the first has', 'preimage_mismatch', { hold: true }],
  ] as const)('%s, and the set goes on', (_, cause, sent) => {
    const { send } = setup();
    send();
    expect(send(sent)).toEqual({ type: 'refuse', cause, failure: details, ended: [] });
    expect(send()).toMatchObject({ type: 'complete' });
  });

  test('that is one too many', () => {
    const { send } = setup(new PartSets({ maxParts: 3 }));
    for (let i = 0; i < 3; i++) expect(send({ intendedMsat: 1n }).type).toBe('incomplete');
    expect(send({ intendedMsat: 97n })).toMatchObject({ type: 'refuse', cause: 'too_many_parts', ended: [] });
  });

  test('behind the one that completed a held set', () => {
    const { sets, send } = setup();
    send({ hold: true });
    expect(send({ hold: true }).type).toBe('complete');
    expect(send({ hold: true })).toMatchObject({ type: 'refuse', cause: 'already_complete', ended: [] });
    // Also where it says something else: what is held is not lost for it.
    expect(send({ hold: true, totalMsat: 1n })).toMatchObject({ cause: 'already_complete', ended: [] });
    expect(idsOf(sets.takeHeld(sha256(preimages[0] as Uint8Array))?.parts ?? [])).toEqual(ids(0, 1));
  });
});

describe('a held set', () => {
  const hash = sha256(preimages[0] as Uint8Array);

  test('holds no preimage, does not time out and is taken once', () => {
    const { sets, send } = setup();
    const added = send({ hold: true, intendedMsat: 100n });
    if (added.type !== 'complete') throw new Error(added.type);
    expect('preimage' in added.set).toBe(false);
    expect(sets.nextExpiryMs()).toBeUndefined();
    expect(sets.expire(startMs + 1e9)).toEqual([]);
    expect(sets.takeHeld(hash)).toEqual(added.set);
    expect(sets.takeHeld(hash)).toBeUndefined();
  });

  test('is not taken before it is complete', () => {
    const { sets, send } = setup();
    send({ hold: true });
    expect(sets.takeHeld(hash)).toBeUndefined();
  });

  test('ends, once, before its first HTLC would have to be claimed on chain', () => {
    const { sets, send } = setup();
    send({ hold: true, cltvExpiry: blockHeight + 60 });
    send({ hold: true, cltvExpiry: blockHeight + 50 });
    expect(sets.expireByHeight(blockHeight + 31)).toEqual([]);
    const [ended, ...more] = sets.expireByHeight(blockHeight + 32);
    expect(more).toEqual([]);
    expect(ended).toMatchObject({
      paymentHash: hash,
      reason: 'expiry_too_near',
      wasHeld: true,
      parts: [
        { failure: { type: 'incorrect_or_unknown_payment_details', height: blockHeight + 32 } },
        { failure: { type: 'incorrect_or_unknown_payment_details', height: blockHeight + 32 } },
      ],
    });
    expect(sets.expireByHeight(blockHeight + 33)).toEqual([]);
  });

  test('ends where one of its HTLCs is gone: it is not complete any more', () => {
    const { sets, send } = setup();
    send({ hold: true });
    send({ hold: true });
    const ended = sets.remove(refOf(0), blockHeight);
    expect(ended).toMatchObject({ reason: 'part_lost', wasHeld: true });
    expect(idsOf(ended?.parts ?? [])).toEqual(ids(1));
    expect(sets.takeHeld(hash)).toBeUndefined();
    expect(sets.remove(refOf(1), blockHeight)).toBeUndefined();
  });

  test('of one HTLC ends with it', () => {
    const { sets, send } = setup();
    send({ hold: true, intendedMsat: 100n });
    expect(sets.remove(refOf(0), blockHeight)).toMatchObject({ wasHeld: true, parts: [] });
    expect(sets.takeHeld(hash)).toBeUndefined();
  });
});

describe('an incomplete set', () => {
  test('times out 60 seconds after its first part, each of its parts once', () => {
    const { sets, send } = setup();
    send({ intendedMsat: 1n }, { nowMs: startMs });
    send({ payment: 1 }, { nowMs: startMs + 1 });
    send({ intendedMsat: 1n }, { nowMs: startMs + 59_999 });
    expect(sets.nextExpiryMs()).toBe(startMs + 60_000);
    expect(sets.expire(startMs + 59_999)).toEqual([]);
    const [ended, ...more] = sets.expire(startMs + 60_000);
    expect(more).toEqual([]);
    expect(idsOf(ended?.parts ?? [])).toEqual(ids(0, 2));
    expect(ended).toMatchObject({
      reason: 'timeout',
      wasHeld: false,
      parts: [{ failure: { type: 'mpp_timeout' } }, { failure: { type: 'mpp_timeout' } }],
    });
    expect(sets.nextExpiryMs()).toBe(startMs + 60_001);
    expect(sets.expire(startMs + 60_000)).toEqual([]);
  });

  test('goes on without an HTLC that is gone', () => {
    const { sets, send } = setup();
    send({ intendedMsat: 60n });
    send({ intendedMsat: 30n });
    expect(sets.remove(refOf(0), blockHeight)).toBeUndefined();
    expect(send({ intendedMsat: 60n }).type).toBe('incomplete');
    const added = send({ intendedMsat: 10n });
    if (added.type !== 'complete') throw new Error(added.type);
    expect(idsOf(added.set.parts)).toEqual(ids(1, 2, 3));
  });

  test('is gone with its last HTLC', () => {
    const { sets, send } = setup();
    send();
    expect(sets.remove(refOf(0), blockHeight)).toBeUndefined();
    expect(sets.remove(refOf(0), blockHeight)).toBeUndefined();
    expect(sets.nextExpiryMs()).toBeUndefined();
  });

  test('makes room for a newer one of the same peer, the oldest first', () => {
    const { sets, send } = setup(new PartSets({ maxSetsPerPeer: 2 }));
    send({ payment: 0 }, { peer: 'other' });
    send({ payment: 1 });
    send({ payment: 2 });
    const added = send({ payment: 3 }, { nowMs: startMs + 2 });
    expect(added).toMatchObject({
      type: 'incomplete',
      ended: [{ reason: 'crowded_out', parts: [{ failure: { type: 'mpp_timeout' } }] }],
    });
    expect(idsOf(added.ended[0]?.parts ?? [])).toEqual(ids(1));
    // More parts of sets that are there need no room.
    expect(send({ payment: 2, intendedMsat: 1n }).ended).toEqual([]);
    expect(sets.expire(startMs + 1e6).length).toBe(3);
  });

  test('makes room for one of any peer where there are too many in all', () => {
    const { send } = setup(new PartSets({ maxSets: 2 }));
    send({ payment: 0 }, { peer: 'a', nowMs: startMs });
    send({ payment: 1 }, { peer: 'b', nowMs: startMs + 1 });
    expect(idsOf(send({ payment: 2 }, { peer: 'c' }).ended[0]?.parts ?? [])).toEqual(ids(0));
  });

  test('never takes the room of a held one', () => {
    const { sets, send } = setup(new PartSets({ maxSets: 1 }));
    send({ payment: 0, hold: true, intendedMsat: 100n });
    expect(send({ payment: 1 }).ended).toEqual([]);
    expect(send({ payment: 2 }).ended.length).toBe(1);
    expect(sets.takeHeld(sha256(preimages[0] as Uint8Array))).toBeDefined();
  });
});

describe('whatever comes in whatever order', () => {
  type Step =
    | { readonly type: 'send'; readonly sent: Sent; readonly peer: string }
    | { readonly type: 'again'; readonly id: number }
    | { readonly type: 'wait'; readonly ms: number }
    | { readonly type: 'block'; readonly blocks: number }
    | { readonly type: 'gone'; readonly id: number }
    | { readonly type: 'take'; readonly payment: number };

  const sent = fc.record({
    payment: fc.nat(3),
    secret: fc.constantFrom('a', 'a', 'a', 'b'),
    kind: fc.constantFrom('invoice', 'invoice', 'keysend'),
    totalMsat: fc.constantFrom(100n, 100n, 100n, 120n),
    intendedMsat: fc.constantFrom(0n, 10n, 30n, 50n, 100n, 1000n),
    cltvExpiry: fc.integer({ min: blockHeight + 20, max: blockHeight + 60 }),
  }) satisfies fc.Arbitrary<Sent>;
  const id = fc.nat(30);
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ type: fc.constant('send' as const), sent, peer: fc.constantFrom('p', 'q') }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('again' as const), id }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(1, 40_000) }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('block' as const), blocks: fc.nat(12) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('gone' as const), id }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('take' as const), payment: fc.nat(3) }) },
  );
  const steps = fc.array(step, { maxLength: 60 });

  interface World {
    nowMs: number;
    height: number;
    readonly htlcs: { part: ReceivedPart; over: 'no' | 'settled' | 'failed' | 'gone' }[];
  }

  /** Payment 3 is that of a hold invoice. */
  const partFor = (wanted: Sent) => partOf({ ...wanted, hold: wanted.payment === 3 });

  /** Takes one step and gives what came of it, as the owner of the channels sees it. */
  function take(sets: PartSets, world: World, one: Step): unknown {
    const add = (at: number, peer: string) => {
      const part = world.htlcs[at]?.part;
      return (
        part &&
        sets.add({
          part,
          ref: refOf(at),
          sharedSecret: new Uint8Array(32),
          peer,
          nowMs: world.nowMs,
          blockHeight: world.height,
        })
      );
    };
    switch (one.type) {
      case 'send':
        world.htlcs.push({ part: partFor(one.sent), over: 'no' });
        return add(world.htlcs.length - 1, one.peer);
      case 'again':
        return world.htlcs[one.id]?.over === 'no' ? add(one.id, 'p') : undefined;
      case 'wait':
        world.nowMs += one.ms;
        return sets.expire(world.nowMs);
      case 'block':
        world.height += one.blocks;
        return sets.expireByHeight(world.height);
      case 'gone':
        return world.htlcs[one.id]?.over === 'no' ? sets.remove(refOf(one.id), world.height) : undefined;
      case 'take':
        return sets.takeHeld(sha256(preimages[one.payment] as Uint8Array));
    }
  }

  const holds = (value: unknown, preimage: Uint8Array): boolean => {
    if (value instanceof Uint8Array) return equalBytes(value, preimage);
    if (value instanceof Map) return [...value.values()].some((item) => holds(item, preimage));
    return (
      typeof value === 'object' && value !== null && Object.values(value).some((v) => holds(v, preimage))
    );
  };

  test('threat 3: nothing is settled before all of it is here, and each HTLC comes to one end', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const sets = new PartSets({ maxParts: 5, maxSetsPerPeer: 2, maxSets: 3 });
        const world: World = { nowMs: startMs, height: blockHeight, htlcs: [] };
        const at = new Map(Array.from({ length: 100 }, (_, i) => [textOf(refOf(i)), i]));
        const finish = (ref: HtlcRef, over: 'settled' | 'failed' | 'gone') => {
          const htlc = world.htlcs[at.get(textOf(ref)) as number];
          expect(htlc?.over).toBe('no');
          if (htlc !== undefined) htlc.over = over;
          return htlc?.part as ReceivedPart;
        };
        const settle = (set: Extract<AddedPart, { type: 'complete' }>['set'], held: boolean) => {
          const parts = set.parts.map(({ ref }) => finish(ref, 'settled'));
          expect(parts.reduce((sum, part) => sum + part.intendedMsat, 0n)).toBeGreaterThanOrEqual(
            set.totalMsat,
          );
          expect(set.amountMsat).toBe(parts.reduce((sum, part) => sum + part.amountMsat, 0n));
          expect(new Set(parts.map(({ key, kind, totalMsat }) => `${key}${kind}${totalMsat}`)).size).toBe(1);
          expect(set.customRecords).toEqual(parts[0]?.customRecords);
          if (!held) expect(sha256(set.preimage as Uint8Array)).toEqual(set.paymentHash);
        };
        const end = ({ parts, paymentHash, reason }: EndedSet) => {
          for (const { ref, failure } of parts) {
            expect(finish(ref, 'failed').paymentHash).toEqual(paymentHash);
            expect(failure.type).toBe(
              reason === 'timeout' || reason === 'crowded_out'
                ? 'mpp_timeout'
                : 'incorrect_or_unknown_payment_details',
            );
          }
        };
        const hear = (one: Step, result: unknown) => {
          switch (one.type) {
            case 'send':
            case 'again': {
              const added = result as AddedPart | undefined;
              if (added === undefined) return;
              const complete = added.type === 'complete';
              if (!complete) for (const preimage of preimages) expect(holds(added, preimage)).toBe(false);
              added.ended.forEach(end);
              const ref = refOf(one.type === 'send' ? world.htlcs.length - 1 : one.id);
              if (added.type === 'refuse') finish(ref, 'failed');
              if (complete && added.set.preimage !== undefined) settle(added.set, false);
              if (one.type === 'again') expect(added).toEqual({ type: 'incomplete', ended: [] });
              return;
            }
            case 'wait':
            case 'block':
              for (const preimage of preimages) expect(holds(result, preimage)).toBe(false);
              (result as EndedSet[]).forEach(end);
              return;
            case 'gone': {
              if (world.htlcs[one.id]?.over === 'no') finish(refOf(one.id), 'gone');
              if (result !== undefined) end(result as EndedSet);
              return;
            }
            case 'take':
              if (result !== undefined) settle(result as Parameters<typeof settle>[0], true);
          }
        };
        for (const one of all) hear(one, take(sets, world, one));
        // In the end nobody waits any more.
        const last: Step[] = [
          { type: 'take', payment: 3 },
          { type: 'wait', ms: 60_000 },
          { type: 'block', blocks: 1000 },
        ];
        for (const one of last) hear(one, take(sets, world, one));
        expect(world.htlcs.filter(({ over }) => over === 'no')).toEqual([]);
        expect(sets.nextExpiryMs()).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  test('what a turn did can be undone, and then it was as if there had been no such turn', () => {
    fc.assert(
      fc.property(steps, steps, steps, (before, undone, after) => {
        const limits = { maxParts: 5, maxSetsPerPeer: 2, maxSets: 3 };
        const sets = new PartSets(limits);
        const twin = new PartSets(limits);
        const world = (): World => ({ nowMs: startMs, height: blockHeight, htlcs: [] });
        const [ours, its] = [world(), world()];
        for (const one of before) {
          sets.snapshot();
          take(sets, ours, one);
          take(twin, its, one);
        }
        sets.snapshot();
        const lost: World = { ...ours, htlcs: [...ours.htlcs] };
        for (const one of undone) take(sets, lost, one);
        sets.restore();
        for (const one of after) expect(take(sets, ours, one)).toEqual(take(twin, its, one));
        const drain: Step[] = [
          { type: 'wait', ms: 60_000 },
          { type: 'block', blocks: 1000 },
        ];
        for (const one of drain) expect(take(sets, ours, one)).toEqual(take(twin, its, one));
      }),
      { numRuns: 500 },
    );
  });
});
