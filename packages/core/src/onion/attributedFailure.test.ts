import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../crypto/index.js';
import {
  type AttributedFailure,
  createAttributedFailure,
  createFulfillAttribution,
  readFailure,
  readFulfillAttribution,
  wrapAttributedFailure,
  wrapFulfillAttribution,
} from './attributedFailure.js';
import type { FailureMessage } from './failureMessage.js';
import { createFailureOnion, wrapFailureOnion } from './failureOnion.js';

const failure: FailureMessage = { type: 'temporary_channel_failure', channelUpdate: Uint8Array.of(1, 2, 3) };
const secrets = (count: number) => Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i)));
const holdTimeOf = (hop: number) => (hop + 1) * 300;
const holdTimes = (count: number) => Array.from({ length: count }, (_, hop) => holdTimeOf(hop));

type Tamper = (hop: number, sent: AttributedFailure) => AttributedFailure;

/** What the sender gets when hop `erring` fails; `tamper` is what a hop sends instead of what it should. */
function failAt(sharedSecrets: readonly Uint8Array[], erring: number, tamper: Tamper = (_, sent) => sent) {
  let sent = createAttributedFailure({
    sharedSecret: sharedSecrets[erring] as Uint8Array,
    failure,
    holdTimeMs: holdTimeOf(erring),
  });
  sent = tamper(erring, sent);
  for (let hop = erring - 1; hop >= 0; hop--) {
    const sharedSecret = sharedSecrets[hop] as Uint8Array;
    sent = tamper(hop, wrapAttributedFailure({ sharedSecret, ...sent, holdTimeMs: holdTimeOf(hop) }));
  }
  return sent;
}

function fulfillOver(
  sharedSecrets: readonly Uint8Array[],
  tamper: (hop: number, sent: Uint8Array) => Uint8Array = (_, sent) => sent,
) {
  const last = sharedSecrets.length - 1;
  let sent = createFulfillAttribution({
    sharedSecret: sharedSecrets[last] as Uint8Array,
    holdTimeMs: holdTimeOf(last),
  });
  sent = tamper(last, sent);
  for (let hop = last - 1; hop >= 0; hop--) {
    const sharedSecret = sharedSecrets[hop] as Uint8Array;
    sent = tamper(
      hop,
      wrapFulfillAttribution({ sharedSecret, attributionData: sent, holdTimeMs: holdTimeOf(hop) }),
    );
  }
  return sent;
}

function flipped(bytes: Uint8Array, position: number, mask = 1): Uint8Array {
  const altered = Uint8Array.from(bytes);
  altered[position] = (altered[position] as number) ^ mask;
  return altered;
}

/** Where in 920 bytes a flipped bit is sure to be seen: a hold time, or an HMAC that is for this position. */
function coveredPosition({ hops, hop, chosen }: { hops: number; hop: number; chosen: number }): number {
  const behind = hops - 1 - hop;
  const x = chosen % (behind + 1);
  const within = Math.floor(chosen / 20) % 4;
  if (chosen % 2 === 0) return x * 4 + within;
  const start = 80 + (20 * x - (x * (x - 1)) / 2) * 4;
  return start + (20 - 1 - x - (behind - x)) * 4 + within;
}

describe('attributed failures', () => {
  test('tell who failed, why, and how long each hop took, for routes of 1 to 20 hops', () => {
    for (const hops of [1, 2, 3, 7, 19, 20]) {
      const sharedSecrets = secrets(hops);
      for (let hopIndex = 0; hopIndex < hops; hopIndex++) {
        const sent = failAt(sharedSecrets, hopIndex);
        expect(sent.reason.length).toBe(292);
        expect(sent.attributionData.length).toBe(920);
        expect(readFailure({ sharedSecrets, ...sent })).toEqual({
          type: 'attributed',
          hopIndex,
          failure,
          holdTimesMs: holdTimes(hopIndex + 1),
        });
      }
    }
  });

  test('are the failure onions that peers without the feature get', () => {
    const sharedSecrets = secrets(3);
    let packet = createFailureOnion({ sharedSecret: sharedSecrets[2] as Uint8Array, failure });
    for (const hop of [1, 0]) {
      packet = wrapFailureOnion({ sharedSecret: sharedSecrets[hop] as Uint8Array, packet });
    }
    expect(failAt(sharedSecrets, 2).reason).toEqual(packet);
    expect(readFailure({ sharedSecrets, reason: packet })).toMatchObject({ hopIndex: 2, holdTimesMs: [] });
  });

  test('that a hop corrupts are pinned to it and one of its neighbours, on any route', () => {
    const scenario = fc.integer({ min: 1, max: 20 }).chain((hops) =>
      fc.integer({ min: 0, max: hops - 1 }).chain((erring) =>
        fc.record({
          hops: fc.constant(hops),
          erring: fc.constant(erring),
          culprit: fc.integer({ min: 0, max: erring }),
          position: fc.nat({ max: 291 }),
          mask: fc.integer({ min: 1, max: 255 }),
        }),
      ),
    );
    fc.assert(
      fc.property(scenario, ({ hops, erring, culprit, position, mask }) => {
        const sharedSecrets = secrets(hops);
        const sent = failAt(sharedSecrets, erring, (hop, { reason, attributionData }) => ({
          reason: hop === culprit ? flipped(reason, position, mask) : reason,
          attributionData,
        }));
        // The culprit's own HMAC is over what it got: the last good one is that of the hop before it.
        expect(readFailure({ sharedSecrets, ...sent })).toEqual({
          type: 'corrupted',
          afterHop: culprit - 1,
          holdTimesMs: holdTimes(culprit),
        });
      }),
      { numRuns: 150 },
    );
  });

  test('that a hop corrupts before it covers them are pinned to it and the hop behind it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), fc.nat(), fc.nat({ max: 291 }), (hops, seed, position) => {
        const sharedSecrets = secrets(hops);
        const culprit = seed % (hops - 1);
        const sent = failAt(sharedSecrets, hops - 1, (hop, { reason, attributionData }) => ({
          reason: hop === culprit + 1 ? flipped(reason, position) : reason,
          attributionData,
        }));
        expect(readFailure({ sharedSecrets, ...sent })).toEqual({
          type: 'corrupted',
          afterHop: culprit,
          holdTimesMs: holdTimes(culprit + 1),
        });
      }),
      { numRuns: 60 },
    );
  });

  test('are still read when only attribution data were corrupted, whose hold times end before the culprit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(), fc.nat(), (hops, seed, chosen) => {
        const sharedSecrets = secrets(hops);
        const culprit = seed % hops;
        const position = coveredPosition({ hops, hop: culprit, chosen });
        const sent = failAt(sharedSecrets, hops - 1, (hop, { reason, attributionData }) => ({
          reason,
          attributionData: hop === culprit ? flipped(attributionData, position) : attributionData,
        }));
        const read = readFailure({ sharedSecrets, ...sent });
        expect(read).toMatchObject({ type: 'attributed', hopIndex: hops - 1, failure });
        expect(read).toHaveProperty('holdTimesMs', holdTimes(culprit));
      }),
      { numRuns: 100 },
    );
  });

  test('with attribution data altered as well never blame a hop that is not beside the culprit', () => {
    const hops = 4;
    const sharedSecrets = secrets(hops);
    for (let position = 0; position < 920; position += 9) {
      const sent = failAt(sharedSecrets, hops - 1, (hop, { reason, attributionData }) => ({
        reason: hop === 2 ? flipped(reason, 7) : reason,
        attributionData: hop === 2 ? flipped(attributionData, position) : attributionData,
      }));
      expect(readFailure({ sharedSecrets, ...sent })).toMatchObject({ type: 'corrupted', afterHop: 1 });
    }
  });

  test('that are nonsense from the first are pinned to their author', () => {
    const sharedSecrets = secrets(5);
    for (const erring of [0, 2, 4]) {
      const garbled = failAt(sharedSecrets, erring, (hop, sent) => {
        if (hop !== erring) return sent;
        const sharedSecret = sharedSecrets[hop] as Uint8Array;
        return wrapAttributedFailure({ sharedSecret, reason: new Uint8Array(292), holdTimeMs: 100 });
      });
      expect(readFailure({ sharedSecrets, ...garbled })).toMatchObject({
        type: 'corrupted',
        afterHop: erring,
      });
    }
  });

  test('begin anew where downstream gave no attribution data, or data of a wrong length', () => {
    const sharedSecrets = secrets(4);
    for (const attributionData of [undefined, new Uint8Array(0), new Uint8Array(919), new Uint8Array(921)]) {
      let sent: { reason: Uint8Array; attributionData?: Uint8Array | undefined } = failAt(
        sharedSecrets.slice(2),
        1,
      );
      sent = { reason: sent.reason, attributionData };
      for (const hop of [1, 0]) {
        const sharedSecret = sharedSecrets[hop] as Uint8Array;
        sent = wrapAttributedFailure({ sharedSecret, ...sent, holdTimeMs: holdTimeOf(hop) });
      }
      const read = readFailure({ sharedSecrets, ...sent });
      expect(read).toMatchObject({ type: 'attributed', hopIndex: 3, holdTimesMs: holdTimes(2) });
      const corrupted = { ...sent, reason: flipped(sent.reason, 0) };
      expect(readFailure({ sharedSecrets, ...corrupted })).toMatchObject({ type: 'corrupted', afterHop: -1 });
    }
  });

  test('that are corrupted without attribution data to read are nobody’s', () => {
    const sharedSecrets = secrets(3);
    const { reason } = failAt(sharedSecrets, 2);
    const corrupted = flipped(reason, 5);
    expect(readFailure({ sharedSecrets, reason: corrupted })).toEqual({ type: 'unattributable' });
    const short = { reason: corrupted, attributionData: new Uint8Array(919) };
    expect(readFailure({ sharedSecrets, ...short })).toEqual({ type: 'unattributable' });
    const long = { reason: corrupted, attributionData: new Uint8Array(920) };
    expect(readFailure({ sharedSecrets: secrets(21), ...long })).toEqual({ type: 'unattributable' });
  });

  test('over routes of more than 20 hops tell who failed, without hold times', () => {
    const sharedSecrets = secrets(27);
    expect(readFailure({ sharedSecrets, ...failAt(sharedSecrets, 26) })).toEqual({
      type: 'attributed',
      hopIndex: 26,
      failure,
      holdTimesMs: [],
    });
  });

  test('tell hold times in units of 100 ms, and none where it is not known', () => {
    const sharedSecrets = secrets(1);
    const sharedSecret = sharedSecrets[0] as Uint8Array;
    const times: readonly [number, number][] = [
      [0, 0],
      [99.9, 0],
      [100, 100],
      [1234, 1200],
      [2 ** 32 * 100, (2 ** 32 - 1) * 100],
      [Number.POSITIVE_INFINITY, (2 ** 32 - 1) * 100],
      [-5, 0],
      [Number.NaN, 0],
    ];
    for (const [holdTimeMs, read] of times) {
      const attributionData = createFulfillAttribution({ sharedSecret, holdTimeMs });
      expect(readFulfillAttribution({ sharedSecrets, attributionData })).toEqual({ holdTimesMs: [read] });
    }
  });

  test('threat 25: failures of every length are passed on or replaced by our own, and never throw', () => {
    const sharedSecrets = secrets(2);
    const ours = sharedSecrets[0] as Uint8Array;
    const attributionData = createFulfillAttribution({ sharedSecret: ours, holdTimeMs: 0 });
    for (const length of [0, 1, 35, 292, 8193, 64_000]) {
      const given = { sharedSecret: ours, reason: new Uint8Array(length), attributionData, holdTimeMs: 700 };
      const sent = wrapAttributedFailure(given);
      expect(sent.reason.length).toBe(length);
      // The sender does not read it, yet knows that we passed on what we got.
      expect(readFailure({ sharedSecrets, ...sent })).toEqual({
        type: 'corrupted',
        afterHop: 0,
        holdTimesMs: [700],
      });
    }
    for (const length of [64_600, 65_535]) {
      const given = { sharedSecret: ours, reason: new Uint8Array(length), attributionData, holdTimeMs: 700 };
      const sent = wrapAttributedFailure(given);
      expect(sent.reason.length).toBe(292);
      expect(readFailure({ sharedSecrets, ...sent })).toEqual({
        type: 'attributed',
        hopIndex: 0,
        failure: { type: 'temporary_channel_failure', channelUpdate: new Uint8Array(0) },
        holdTimesMs: [700],
      });
    }
  });

  test('threat 25: random data from a peer never throw', () => {
    const bytes = fc.uint8Array({ maxLength: 1000 });
    fc.assert(
      fc.property(fc.nat({ max: 27 }), bytes, fc.option(bytes, { nil: undefined }), (hops, reason, data) => {
        const sharedSecrets = secrets(hops);
        const read = readFailure({ sharedSecrets, reason, attributionData: data });
        expect(['corrupted', 'unattributable']).toContain(read.type);
        readFulfillAttribution({ sharedSecrets, attributionData: data });
        const given = { sharedSecret: sha256(reason), attributionData: data, holdTimeMs: 0 };
        expect(wrapAttributedFailure({ ...given, reason }).attributionData.length).toBe(920);
        expect(wrapFulfillAttribution(given).length).toBe(920);
      }),
    );
  });

  test('leave what they are made from as it was', () => {
    const sharedSecrets = secrets(2);
    const sent = failAt(sharedSecrets, 1);
    const before = { reason: sent.reason.slice(), attributionData: sent.attributionData.slice() };
    wrapAttributedFailure({ sharedSecret: sharedSecrets[0] as Uint8Array, ...sent, holdTimeMs: 1 });
    readFailure({ sharedSecrets, ...sent });
    readFulfillAttribution({ sharedSecrets, ...sent });
    expect(sent).toEqual(before);
  });
});

describe('the attribution of fulfills', () => {
  test('tells how long each hop took, for routes of 1 to 20 hops', () => {
    for (let hops = 1; hops <= 20; hops++) {
      const sharedSecrets = secrets(hops);
      const attributionData = fulfillOver(sharedSecrets);
      expect(readFulfillAttribution({ sharedSecrets, attributionData })).toEqual({
        holdTimesMs: holdTimes(hops),
      });
    }
  });

  test('that a hop corrupts is proved up to the hop before it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(), fc.nat(), (hops, seed, chosen) => {
        const sharedSecrets = secrets(hops);
        const culprit = seed % hops;
        const position = coveredPosition({ hops, hop: culprit, chosen });
        const attributionData = fulfillOver(sharedSecrets, (hop, sent) =>
          hop === culprit ? flipped(sent, position) : sent,
        );
        expect(readFulfillAttribution({ sharedSecrets, attributionData })).toEqual({
          holdTimesMs: holdTimes(culprit),
          firstBadHop: culprit,
        });
      }),
      { numRuns: 100 },
    );
  });

  test('begins anew behind a hop that has none', () => {
    const sharedSecrets = secrets(4);
    let attributionData: Uint8Array | undefined;
    for (const hop of [1, 0]) {
      const sharedSecret = sharedSecrets[hop] as Uint8Array;
      attributionData = wrapFulfillAttribution({
        sharedSecret,
        attributionData,
        holdTimeMs: holdTimeOf(hop),
      });
    }
    expect(readFulfillAttribution({ sharedSecrets, attributionData })).toEqual({
      holdTimesMs: holdTimes(2),
      firstBadHop: 2,
    });
  });

  test('is not read where it is absent, of a wrong length, or the route is too long', () => {
    const attributionData = fulfillOver(secrets(3));
    expect(readFulfillAttribution({ sharedSecrets: secrets(3) })).toBeUndefined();
    const cut = attributionData.subarray(1);
    expect(readFulfillAttribution({ sharedSecrets: secrets(3), attributionData: cut })).toBeUndefined();
    expect(readFulfillAttribution({ sharedSecrets: secrets(21), attributionData })).toBeUndefined();
  });
});
