import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import { txid, verifyLocalCommitment } from '../tx/index.js';
import { isAnnounced } from './announcement.js';
import type { Channel } from './channel.js';
import { ChannelCodecError, decodeChannel, encodeChannel, type HtlcLookup } from './channelCodec.js';
import { ChannelError } from './channelError.js';
import { buildLocalCommitment, completeLocalCommitment } from './commitments.js';
import { channelsV1 } from './fixtures/channelsV1.test.support.js';
import { channelsV2 } from './fixtures/channelsV2.test.support.js';
import type { Htlc, HtlcDirection, Settlement } from './htlc.js';
import { decodeArchivedHtlc, decodeHtlc, encodeArchivedHtlc, encodeHtlc } from './htlcCodec.js';
import { resume } from './machine.js';
import { Bench } from './model/bench.test.support.js';
import { describeChannel } from './model/invariants.test.support.js';
import { movesOf, runOptions } from './model/moves.test.support.js';
import {
  aliceSigner,
  bobSigner,
  contextOf,
  ordinarySetup,
  preimageOf,
  startHeight,
} from './model/setup.test.support.js';
import { play } from './model/world.test.support.js';
import { withoutUncommitted } from './reestablish.js';

/** The rows that a channel's HTLCs would have if each were written now. */
function rowsOf(channel: Channel): HtlcLookup {
  return (reference) => {
    const htlc = channel.htlcs.get(reference.direction, reference.id);
    return htlc === undefined ? undefined : decodeHtlc(encodeHtlc(htlc), reference);
  };
}

function expectKept(channel: Channel): void {
  const read = decodeChannel(encodeChannel(channel), rowsOf(channel));
  expect(describeChannel(withoutUncommitted(read))).toBe(describeChannel(withoutUncommitted(channel)));
  expect(read.link).toBe('offline');
}

/** Either a value or the one error that is announced. */
function orRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ChannelCodecError) return undefined;
    throw error;
  }
}

describe('the stored form of a channel', () => {
  test('brings back every channel that a run of two nodes reaches', () => {
    let channels = 0;
    fc.assert(
      fc.property(runOptions, movesOf(40), (options, moves) => {
        play(options, moves, ({ alice, bob }) => {
          for (const { channel } of [alice, bob]) {
            expectKept(channel);
            channels++;
          }
        });
      }),
      { numRuns: 60 },
    );
    expect(channels).toBeGreaterThan(600);
  });

  const bench = new Bench();
  const { channel } = bench.alice;
  const { tx } = completeLocalCommitment(channel, bench.alice.signer);
  const error = new ChannelError('closing_invalid', 'no, nein, 不', 'warn_and_disconnect');
  const { nextPoint: _, ...withoutNextPoint } = channel.remoteCommit;
  const variants: readonly { name: string; fields: Partial<Channel> }[] = [
    { name: 'awaiting_ready', fields: { phase: { name: 'awaiting_ready' }, remoteCommit: withoutNextPoint } },
    { name: 'closing', fields: { phase: { name: 'closing' }, closingTransactions: [tx, tx] } },
    { name: 'failed', fields: { phase: { name: 'failed', error } } },
    { name: 'stale', fields: { phase: { name: 'stale' }, dataLost: true } },
    { name: 'spent', fields: { phase: { name: 'spent', by: tx } } },
    { name: 'closed', fields: { phase: { name: 'closed' } } },
    {
      name: 'ready in part',
      fields: {
        readiness: { localAlias: (1n << 64n) - 1n, remoteAlias: 0n, localSent: true, remoteReceived: false },
      },
    },
    {
      name: 'shut down by both',
      fields: {
        shutdown: { localSent: false, localScript: Uint8Array.of(0x51), remoteScript: new Uint8Array(34) },
      },
    },
    {
      name: 'with every option of the opening',
      fields: {
        params: {
          ...channel.params,
          announce: true,
          localIsOpener: false,
          format: { commitment: 'static_remotekey', scidAlias: true, zeroConf: true },
          local: { ...channel.params.local, upfrontShutdownScript: new Uint8Array(22) },
        },
      },
    },
  ];

  test.each(variants)('brings back a channel that is $name', ({ fields }) =>
    expectKept({ ...channel, ...fields }),
  );

  test('holds no HTLC that the peer only proposed, and the id that it will use again', () => {
    const { alice, bob } = new Bench();
    bob.add();
    bob.add();
    for (const message of alice.inbox.splice(0)) alice.do({ type: 'message', message });
    expect(alice.channel.nextReceivedId).toBe(2n);
    const read = decodeChannel(encodeChannel(alice.channel), () => undefined);
    expect([read.htlcs.size, read.nextReceivedId, read.receivedMsat]).toEqual([0, 0n, 0n]);
  });

  test('is refused where a row is missing, bytes follow or the version is another', () => {
    const { alice } = bench;
    alice.add();
    const bytes = encodeChannel(alice.channel);
    expect(() => decodeChannel(bytes, () => undefined)).toThrow(ChannelCodecError);
    const rows = rowsOf(alice.channel);
    expect(() => decodeChannel(Uint8Array.of(...bytes, 0), rows)).toThrow(ChannelCodecError);
    expect(() => decodeChannel(Uint8Array.of(3, ...bytes.subarray(1)), rows)).toThrow(ChannelCodecError);
    expect(() => decodeChannel(Uint8Array.of(0, ...bytes.subarray(1)), rows)).toThrow(ChannelCodecError);
  });
});

const stored = [
  ...channelsV1.map((sample) => ({ ...sample, version: 1 })),
  ...channelsV2.map((sample) => ({ ...sample, version: 2 })),
];

describe('channels that were stored by every version', () => {
  const signers = { alice: aliceSigner, bob: bobSigner };

  test.each(stored)(
    'version $version, $name: load, and can be published',
    ({ channel: hex, htlcs, wanted, signer: name }) => {
      const signer = signers[name as keyof typeof signers];
      const rows = new Map(htlcs.map(({ direction, id, row }) => [`${direction} ${id}`, hexToBytes(row)]));
      const channel = decodeChannel(hexToBytes(hex), (reference) => {
        const row = rows.get(`${reference.direction} ${reference.id}`);
        return row === undefined ? undefined : decodeHtlc(row, reference);
      });
      expect({
        phase: channel.phase.name,
        localMsat: Number(channel.localMsat),
        localNumber: Number(channel.localCommit.number),
        remoteNumber: Number(channel.remoteCommit.number),
        nextOfferedId: Number(channel.nextOfferedId),
        feeratePerKw: channel.fee.feeratePerKw,
        feeUpdates: channel.fee.updates.length,
      }).toEqual(wanted);
      expect(
        [...channel.htlcs].map(({ direction, id, state, amountMsat, settlement }) => ({
          direction,
          id: Number(id),
          state,
          amountMsat: Number(amountMsat),
          settlement: settlement?.type ?? 'none',
        })),
      ).toEqual(
        htlcs.map(({ direction, id, state, amountMsat, settlement }) => ({
          direction,
          id,
          state,
          amountMsat,
          settlement,
        })),
      );
      const { number } = channel.localCommit;
      const context = contextOf(ordinarySetup, { signer, blockHeight: startHeight });
      const resumed = resume(channel, context);
      const commitment = buildLocalCommitment(resumed.channel, { signer, number });
      expect(verifyLocalCommitment(commitment, channel.localCommit)).toBeUndefined();
      const published = resumed.effects.flatMap((effect) => (effect.type === 'publish' ? [effect.tx] : []));
      const expected = { failed: [commitment.txid], closing: channel.closingTransactions.map(txid) };
      expect(published.map(txid)).toEqual(expected[channel.phase.name as keyof typeof expected] ?? []);
      const told = resumed.events.flatMap((event) => (event.type === 'htlcReceived' ? [event.htlc.id] : []));
      const waiting = htlcs.filter(
        (htlc) => htlc.state === 'rcvd_add_ack_revocation' && htlc.settlement === 'none',
      );
      expect(told).toEqual(waiting.map(({ id }) => BigInt(id)));
    },
  );
});

describe('channels that were stored by version 2', () => {
  test.each(channelsV2)('$name: have what version 1 did not know', ({ channel: hex, htlcs, announced }) => {
    const rows = new Map(htlcs.map(({ direction, id, row }) => [`${direction} ${id}`, hexToBytes(row)]));
    const channel = decodeChannel(hexToBytes(hex), (reference) => {
      const row = rows.get(`${reference.direction} ${reference.id}`);
      return row === undefined ? undefined : decodeHtlc(row, reference);
    });
    expect(isAnnounced(channel)).toBe(announced);
    expect(channel.announcement).toBeDefined();
    expect(
      [...channel.htlcs].map(({ pathKey, settlement }) => ({
        pathKey: pathKey !== undefined,
        attributed:
          settlement !== undefined &&
          'attributionData' in settlement &&
          settlement.attributionData?.length === 920,
      })),
    ).toEqual(htlcs.map(({ pathKey, attributed }) => ({ pathKey, attributed })));
    // Rows and channels that are written today are the same bytes.
    expect(bytesToHex(encodeChannel(channel))).toBe(hex);
    for (const htlc of channel.htlcs) {
      expect(encodeHtlc(htlc)).toEqual(rows.get(`${htlc.direction} ${htlc.id}`));
    }
  });
});

describe('damaged bytes', () => {
  const samples = stored.map(({ channel, htlcs }) => {
    const rows = new Map(htlcs.map(({ direction, id, row }) => [`${direction} ${id}`, hexToBytes(row)]));
    const lookup: HtlcLookup = (reference) => {
      const row = rows.get(`${reference.direction} ${reference.id}`);
      return row === undefined ? undefined : decodeHtlc(row, reference);
    };
    return { bytes: hexToBytes(channel), lookup };
  });

  test.each(
    samples.map((sample, index) => ({
      ...sample,
      name: `version ${stored[index]?.version}, ${stored[index]?.name}`,
    })),
  )('$name: no cut is read as a channel', ({ bytes, lookup }) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(orRefused(() => decodeChannel(bytes.subarray(0, length), lookup))).toBeUndefined();
    }
  });

  test('are refused with a ChannelCodecError or read as a channel that can be written again', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        ({ bytes, lookup }, changes) => {
          const damaged = bytes.slice();
          for (const [position, value] of changes) damaged[position % damaged.length] = value;
          const channel = orRefused(() => decodeChannel(damaged, lookup));
          if (channel !== undefined) encodeChannel(channel);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

const direction = fc.constantFrom<HtlcDirection>('offered', 'received');
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
const attributionData = fc.uint8Array({ minLength: 920, maxLength: 920 });
const settlement: fc.Arbitrary<Settlement> = fc.oneof(
  fc.record(
    { type: fc.constant('fulfill' as const), preimage: bytes32, attributionData },
    { requiredKeys: ['type', 'preimage'] },
  ),
  fc.record(
    { type: fc.constant('fail' as const), reason: fc.uint8Array({ maxLength: 300 }), attributionData },
    { requiredKeys: ['type', 'reason'] },
  ),
  fc.record({
    type: fc.constant('fail_malformed' as const),
    sha256OfOnion: bytes32,
    failureCode: fc.integer({ min: 0, max: 0xffff }),
  }),
);
const htlc: fc.Arbitrary<Htlc> = fc.record(
  {
    direction,
    id: u64,
    state: fc.constant('sent_add' as const),
    amountMsat: u64,
    paymentHash: bytes32,
    cltvExpiry: fc.integer({ min: 0, max: 0xffff_ffff }),
    onion: fc.uint8Array({ minLength: 1366, maxLength: 1366 }),
    pathKey: fc.uint8Array({ minLength: 33, maxLength: 33 }),
    firstRemoteCommitment: u64,
    settlement,
  },
  { requiredKeys: ['direction', 'id', 'state', 'amountMsat', 'paymentHash', 'cltvExpiry', 'onion'] },
);

describe('the rows of HTLCs', () => {
  test('bring back all but what the channel holds itself, and no onion that nobody needs', () => {
    fc.assert(
      fc.property(htlc, (whole) => {
        const { state: _, firstRemoteCommitment: __, onion, pathKey, ...contents } = whole;
        const open = { onion, ...(pathKey === undefined ? {} : { pathKey }) };
        const kept = whole.settlement === undefined ? open : { onion: new Uint8Array(0) };
        expect(decodeHtlc(encodeHtlc(whole), whole)).toEqual({ ...contents, ...kept });
      }),
    );
  });

  test('that are archived take 53 bytes and bring back what a penalty needs', () => {
    fc.assert(
      fc.property(htlc, (whole) => {
        const { direction, id, amountMsat, paymentHash, cltvExpiry, firstRemoteCommitment = 0n } = whole;
        const row = encodeArchivedHtlc(whole);
        expect(row).toHaveLength(53);
        const wanted = { direction, id, amountMsat, paymentHash, cltvExpiry, firstRemoteCommitment };
        expect(decodeArchivedHtlc(row, { direction, id })).toEqual(wanted);
      }),
    );
  });

  test('are refused with a ChannelCodecError where they are cut', () => {
    fc.assert(
      fc.property(htlc, fc.nat(), (whole, at) => {
        for (const [row, decode] of [
          [encodeHtlc(whole), decodeHtlc],
          [encodeArchivedHtlc(whole), decodeArchivedHtlc],
        ] as const) {
          expect(orRefused(() => decode(row.subarray(0, at % row.length), whole))).toBeUndefined();
        }
      }),
    );
  });

  test('of any bytes are refused or read, never another error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        for (const version of [1, 2]) {
          const row = Uint8Array.of(version, ...tail);
          orRefused(() => decodeHtlc(row, { direction: 'offered', id: 0n }));
          orRefused(() => decodeArchivedHtlc(row, { direction: 'offered', id: 0n }));
        }
      }),
    );
  });

  const whole: Htlc = {
    direction: 'received',
    id: 3n,
    state: 'rcvd_add_ack_revocation',
    amountMsat: 0x0102030405060708n,
    paymentHash: sha256(preimageOf(1)),
    cltvExpiry: 0x0a0b0c0d,
    onion: Uint8Array.of(0xaa, 0xbb),
    firstRemoteCommitment: 9n,
  };
  const start = `0102030405060708${bytesToHex(sha256(preimageOf(1)))}0a0b0c0d`;
  const preimage = bytesToHex(preimageOf(1));

  test('have bytes that stay: version 2', () => {
    const pathKey = new Uint8Array(33).fill(0x02);
    const attributionData = new Uint8Array(920).fill(0x03);
    expect(bytesToHex(encodeHtlc(whole))).toBe(`02${start}000002aabb00`);
    expect(bytesToHex(encodeHtlc({ ...whole, pathKey }))).toBe(`02${start}000002aabb01${'02'.repeat(33)}`);
    const fulfilled: Htlc = { ...whole, pathKey, settlement: { type: 'fulfill', preimage: preimageOf(1) } };
    expect(bytesToHex(encodeHtlc(fulfilled))).toBe(`02${start}01${preimage}00000000`);
    const failed: Htlc = {
      ...whole,
      settlement: { type: 'fail', reason: Uint8Array.of(7), attributionData },
    };
    expect(bytesToHex(encodeHtlc(failed))).toBe(`02${start}02000000010701${'03'.repeat(920)}000000`);
    expect(bytesToHex(encodeArchivedHtlc(whole))).toBe(`01${start}0000000000000009`);
  });

  test('are read as version 1 wrote them', () => {
    const { state: _, firstRemoteCommitment: __, ...contents } = whole;
    expect(decodeHtlc(hexToBytes(`01${start}000002aabb`), whole)).toEqual(contents);
    const settlement = { type: 'fulfill', preimage: preimageOf(1) };
    expect(decodeHtlc(hexToBytes(`01${start}01${preimage}0000`), whole)).toEqual({
      ...contents,
      onion: new Uint8Array(0),
      settlement,
    });
    expect(() => decodeHtlc(hexToBytes(`03${start}000002aabb`), whole)).toThrow(ChannelCodecError);
  });
});
