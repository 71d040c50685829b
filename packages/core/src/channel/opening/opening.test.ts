import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../../bytes/index.js';
import { txid } from '../../tx/index.js';
import { type AcceptChannel, createFeatures, encodeChannelType, type OpenChannel } from '../../wire/index.js';
import { ChannelError, ChannelRefusal } from '../channelError.js';
import { buildLocalCommitment, buildRemoteCommitment } from '../commitments.js';
import { type AcceptRequest, acceptOpening, receiveFundingCreated } from './accepter.js';
import { paysFunding } from './fundingOutput.js';
import { channelIdOf } from './initialChannel.js';
import {
  fundingCreated,
  type OpeningRequest,
  receiveAcceptChannel,
  receiveFundingSigned,
  startOpening,
} from './opener.js';
import {
  accepterSigner,
  acceptRequest,
  allFeatures,
  type OpeningOptions,
  offCurve,
  openChannels,
  openerSigner,
  p2trOf,
  p2wpkhOf,
  sampleRequest,
  withHighS,
} from './opening.test.support.js';
import {
  defaultAcceptPolicy,
  defaultOpeningLimits,
  defaultPeerTolerance,
  openingFeatures,
} from './openingTerms.js';

const anchors = encodeChannelType({ base: 'anchors', scidAlias: false, zeroconf: false });

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function expectError(run: () => unknown, code: ChannelError['code'], message?: RegExp): void {
  const error = thrown(run);
  expect(error).toBeInstanceOf(ChannelError);
  expect((error as ChannelError).code).toBe(code);
  if (message !== undefined) expect((error as ChannelError).message).toMatch(message);
}

describe('a channel that both agree on', () => {
  const formats = [
    { commitment: 'anchors', scidAlias: false, zeroConf: false },
    { commitment: 'static_remotekey', scidAlias: false, zeroConf: false },
    { commitment: 'anchors', scidAlias: true, zeroConf: true },
  ] as const;

  test.each(formats)('is the mirror image on both sides: %o', (format) => {
    const script = p2trOf(5);
    const { opener, accepter, fundingTx } = openChannels({
      opener: { format, upfrontShutdownScript: script },
      accepter: { policy: { ...defaultAcceptPolicy, trustsZeroConf: true } },
    });
    const { local, remote, localIsOpener, remoteNodeId, ...shared } = opener.params;
    const mirror = accepter.params;
    expect(mirror).toEqual({
      ...shared,
      local: remote,
      remote: local,
      localIsOpener: !localIsOpener,
      remoteNodeId: mirror.remoteNodeId,
    });
    expect(localIsOpener).toBe(true);
    expect(local.upfrontShutdownScript).toEqual(script);
    expect(remote.upfrontShutdownScript).toBeUndefined();
    expect(shared.format).toEqual(format);
    expect(shared.minimumDepth).toBe(format.zeroConf ? 0 : 3);
    expect(opener.localMsat).toBe(799_999_500n);
    expect(opener.remoteMsat).toBe(200_000_500n);
    expect([accepter.localMsat, accepter.remoteMsat]).toEqual([opener.remoteMsat, opener.localMsat]);
    const ours = buildLocalCommitment(opener, { signer: openerSigner, number: 0n });
    const theirs = buildLocalCommitment(accepter, { signer: accepterSigner, number: 0n });
    expect(ours.txid).toEqual(buildRemoteCommitment(accepter).txid);
    expect(theirs.txid).toEqual(buildRemoteCommitment(opener).txid);
    expect(ours.txid).not.toEqual(theirs.txid);
    expect(opener.phase.name).toBe('awaiting_ready');
    expect(paysFunding(opener.params, fundingTx)).toBe(true);
    expect(paysFunding(accepter.params, fundingTx)).toBe(true);
  });

  test('is announced where the opener wants that', () => {
    for (const announce of [true, false]) {
      const { opener, accepter, open } = openChannels({ opener: { announce } });
      expect([open.channelFlags, opener.params.announce, accepter.params.announce]).toEqual([
        announce ? 1 : 0,
        announce,
        announce,
      ]);
    }
  });

  test('has reserves of one percent that cover both dust limits', () => {
    const { opener } = openChannels();
    expect(opener.params.local.channelReserveSat).toBe(10_000n);
    expect(opener.params.remote.channelReserveSat).toBe(10_000n);
    const small = openChannels({ opener: { fundingSat: 20_000n, pushMsat: 0n, feeratePerKw: 253 } }).opener;
    expect(small.params.local.channelReserveSat).toBe(1_000n);
    expect(small.params.remote.channelReserveSat).toBe(400n);
  });

  test('lets the whole capacity be in flight, unless a limit says less', () => {
    expect(openChannels().opener.params.local.maxHtlcValueInFlightMsat).toBe(1_000_000_000n);
    const limits = { ...defaultOpeningLimits, maxHtlcValueInFlightMsat: 5_000_000n };
    expect(openChannels({ opener: { limits } }).accepter.params.remote.maxHtlcValueInFlightMsat).toBe(
      5_000_000n,
    );
  });

  test('takes undefined bits of channel_flags for nothing', () => {
    const { accepter } = openChannels({ open: (message) => ({ ...message, channelFlags: 0xfe }) });
    expect(accepter.params.announce).toBe(false);
    expect(openChannels({ opener: { announce: true } }).accepter.params.announce).toBe(true);
  });

  test('is not bound to a script by a peer that did not negotiate option_upfront_shutdown_script', () => {
    const features = { ...allFeatures, upfrontShutdown: false };
    const { opener, accepter } = openChannels({
      opener: { features, upfrontShutdownScript: p2wpkhOf(3) },
      accepter: { features },
    });
    expect(accepter.params.remote.upfrontShutdownScript).toBeUndefined();
    // Said once, it binds who said it.
    expect(opener.params.local.upfrontShutdownScript).toEqual(p2wpkhOf(3));
  });

  test('waits for a confirmation where the accepter asks for none without option_zeroconf', () => {
    const { opener } = openChannels({ accept: (message) => ({ ...message, minimumDepth: 0 }) });
    expect(opener.params.minimumDepth).toBe(1);
  });

  test('has an id of its funding outpoint', () => {
    const txid = new Uint8Array(32).fill(0x11);
    expect(bytesToHex(channelIdOf({ txid, index: 0x0203 }))).toBe(`${'11'.repeat(30)}1312`);
    expect(txid).toEqual(new Uint8Array(32).fill(0x11));
  });

  test('knows its features from what was negotiated', () => {
    const bits = createFeatures({ optional: ['staticRemotekey', 'anchors', 'supportLargeChannel'] });
    expect(openingFeatures(bits)).toEqual({
      ...allFeatures,
      upfrontShutdown: false,
      anySegwit: false,
      simpleClose: false,
      scidAlias: false,
      zeroConf: false,
    });
  });
});

describe('an open_channel that breaks a rule is rejected', () => {
  type Case = [
    name: string,
    change: Partial<OpenChannel>,
    message: RegExp,
    accepter?: Partial<AcceptRequest>,
  ];
  const zeroConf = encodeChannelType({ base: 'anchors', scidAlias: false, zeroconf: true });
  const alias = encodeChannelType({ base: 'anchors', scidAlias: true, zeroconf: false });
  const without = (feature: keyof typeof allFeatures) => ({ features: { ...allFeatures, [feature]: false } });
  const cases: Case[] = [
    ['another chain', { chainHash: new Uint8Array(32) }, /another chain/],
    ['push above the funding', { pushMsat: 1_000_000_001n }, /push_msat/],
    ['a to_self_delay beyond reason', { toSelfDelay: 2_017 }, /to_self_delay/],
    ['484 HTLCs', { maxAcceptedHtlcs: 484 }, /max_accepted_htlcs is 484/],
    ['no HTLC at all', { maxAcceptedHtlcs: 0 }, /max_accepted_htlcs is 0/],
    ['a feerate too low', { feeratePerKw: 252 }, /feerates/],
    ['a feerate too high', { feeratePerKw: 100_001 }, /feerates/],
    [
      'threat 18: a dust limit above the reserve',
      { dustLimitSat: 500n, channelReserveSat: 499n },
      /above the reserve/,
    ],
    ['threat 18: no reserve', { dustLimitSat: 354n, channelReserveSat: 0n }, /above the reserve/],
    ['a dust limit below 354 sat', { dustLimitSat: 353n }, /below 354/],
    ['a dust limit too large', { dustLimitSat: 1_001n }, /above 1000/],
    ['a reserve too large', { channelReserveSat: 200_001n }, /reserve of 200001/],
    ['threat 18: a reserve below our dust limit', { channelReserveSat: 399n }, /below our dust limit/],
    ['an opener that cannot pay the fee', { pushMsat: 999_000_000n }, /cannot pay the fee/],
    ['an opener that can pay the fee and not the anchors', { pushMsat: 998_217_000n }, /cannot pay the fee/],
    [
      'threat 18: both sides at or below the reserve',
      { fundingSat: 20_000n, pushMsat: 4_000_000n, channelReserveSat: 4_000n, feeratePerKw: 11_000 },
      /more than the reserve/,
    ],
    [
      '2^24 sat without option_support_large_channel',
      { fundingSat: 1n << 24n },
      /large_channel/,
      without('largeChannels'),
    ],
    [
      'threat 18: both sides at or below the reserve that we would ask for',
      { fundingSat: 100_000n, pushMsat: 1_000_000n, channelReserveSat: 400n, feeratePerKw: 86_650 },
      /more than the reserve of 1000 sat/,
    ],
    ['too small a channel', { fundingSat: 19_999n, pushMsat: 0n }, /channels from/],
    ['too large a channel', { fundingSat: 1_000_000_001n }, /channels from/],
    ['a minimum beyond any payment', { htlcMinimumMsat: 1_000_001n }, /htlc_minimum_msat/],
    ['nearly nothing in flight', { maxHtlcValueInFlightMsat: 999_999n }, /in_flight/],
    ['no channel_type', { channelType: undefined }, /no channel_type/],
    ['an unknown channel_type', { channelType: Uint8Array.of(0x01) }, /not known/],
    ['an empty channel_type', { channelType: new Uint8Array(0) }, /not known/],
    ['anchors without option_anchors', {}, /negotiated/, without('anchors')],
    ['a static key without option_static_remotekey', {}, /negotiated/, without('staticRemoteKey')],
    ['an alias without option_scid_alias', { channelType: alias }, /negotiated/, without('scidAlias')],
    ['an announced channel with an alias', { channelType: alias, channelFlags: 1 }, /announced/],
    [
      'an announced channel where none is wanted',
      { channelFlags: 1 },
      /announced/,
      { policy: { ...defaultAcceptPolicy, acceptPublic: false } },
    ],
    ['zeroconf from a stranger', { channelType: zeroConf }, /before they confirm/],
    [
      'zeroconf without option_zeroconf',
      { channelType: zeroConf },
      /negotiated/,
      { ...without('zeroConf'), policy: { ...defaultAcceptPolicy, trustsZeroConf: true } },
    ],
    ['v1 with option_dual_fund', {}, /open_channel2/, { features: { ...allFeatures, dualFund: true } }],
    ['no upfront script', { upfrontShutdownScript: undefined }, /is missing/],
    [
      'an upfront script of no allowed form',
      { upfrontShutdownScript: Uint8Array.of(0x51) },
      /none of the forms/,
    ],
    [
      'a taproot script without option_shutdown_anysegwit',
      { upfrontShutdownScript: p2trOf(1) },
      /none/,
      without('anySegwit'),
    ],
    ['funding_pubkey off the curve', { fundingPubkey: offCurve }, /fundingPubkey/],
    ['revocation_basepoint off the curve', { revocationBasepoint: offCurve }, /revocationBasepoint/],
    ['payment_basepoint off the curve', { paymentBasepoint: offCurve }, /paymentBasepoint/],
    [
      'delayed_payment_basepoint off the curve',
      { delayedPaymentBasepoint: offCurve },
      /delayedPaymentBasepoint/,
    ],
    ['htlc_basepoint off the curve', { htlcBasepoint: offCurve }, /htlcBasepoint/],
    [
      'first_per_commitment_point off the curve',
      { firstPerCommitmentPoint: offCurve },
      /firstPerCommitmentPoint/,
    ],
  ];

  test.each(cases)('%s', (_, change, message, accepter) => {
    const { message: open } = startOpening(sampleRequest());
    expectError(
      () => acceptOpening(acceptRequest({ ...open, ...change }, accepter)),
      'open_rejected',
      message,
    );
  });

  test('and at its very bounds it is accepted', () => {
    const { message: open } = startOpening(sampleRequest());
    const change: Partial<OpenChannel> = {
      toSelfDelay: 2_016,
      maxAcceptedHtlcs: 483,
      feeratePerKw: 253,
      dustLimitSat: 1_000n,
      channelReserveSat: 1_000n,
      fundingSat: (1n << 24n) - 1n,
      upfrontShutdownScript: p2wpkhOf(1),
    };
    const features = { ...allFeatures, largeChannels: false };
    expect(acceptOpening(acceptRequest({ ...open, ...change }, { features })).message.channelReserveSat).toBe(
      167_772n,
    );
  });

  test('our own script of no allowed form is refused, not the peer', () => {
    const { message: open } = startOpening(sampleRequest());
    const error = thrown(() =>
      acceptOpening(acceptRequest(open, { upfrontShutdownScript: Uint8Array.of(1) })),
    );
    expect(error).toBeInstanceOf(ChannelRefusal);
    expect((error as ChannelRefusal).code).toBe('script_invalid');
  });
});

describe('an accept_channel that breaks a rule ends the opening', () => {
  type Case = [
    name: string,
    change: Partial<AcceptChannel>,
    message: RegExp,
    opener?: Partial<OpeningRequest>,
  ];
  const cases: Case[] = [
    ['no channel_type', { channelType: undefined }, /no channel_type/],
    [
      'another channel_type',
      { channelType: encodeChannelType({ base: 'static_remotekey', scidAlias: false, zeroconf: false }) },
      /another channel_type/,
    ],
    [
      'a longer form of the same channel_type',
      { channelType: Uint8Array.of(0, ...anchors) },
      /another channel_type/,
    ],
    ['a minimum_depth beyond reason', { minimumDepth: 145 }, /minimum_depth/],
    [
      'threat 18: a reserve below our dust limit',
      { channelReserveSat: 353n, dustLimitSat: 354n },
      /below our dust limit/,
    ],
    [
      'threat 18: a dust limit above our reserve',
      { dustLimitSat: 10_001n, channelReserveSat: 20_000n },
      /above our reserve/,
    ],
    [
      'threat 18: a dust limit above its reserve',
      { dustLimitSat: 900n, channelReserveSat: 899n },
      /above the reserve/,
    ],
    ['a dust limit below 354 sat', { dustLimitSat: 353n }, /below 354/],
    ['a dust limit too large', { dustLimitSat: 1_001n }, /above 1000/],
    ['a reserve too large', { channelReserveSat: 200_001n }, /reserve of 200001/],
    ['a to_self_delay beyond reason', { toSelfDelay: 65_535 }, /to_self_delay/],
    ['484 HTLCs', { maxAcceptedHtlcs: 484 }, /max_accepted_htlcs/],
    ['no upfront script', { upfrontShutdownScript: undefined }, /is missing/],
    [
      'an upfront script of no allowed form',
      { upfrontShutdownScript: Uint8Array.of(0x6a, 1, 2) },
      /none of the forms/,
    ],
    ['funding_pubkey off the curve', { fundingPubkey: offCurve }, /fundingPubkey/],
    [
      'first_per_commitment_point off the curve',
      { firstPerCommitmentPoint: offCurve },
      /firstPerCommitmentPoint/,
    ],
    [
      'threat 18: a reserve that neither side would have',
      { channelReserveSat: 10_000n },
      /more than the reserve/,
      { fundingSat: 50_000n, pushMsat: 9_000_000n, feeratePerKw: 28_000 },
    ],
    [
      'confirmations for a channel with option_zeroconf',
      { minimumDepth: 1 },
      /minimum_depth/,
      { format: { commitment: 'anchors', scidAlias: false, zeroConf: true } },
    ],
  ];

  test.each(cases)('%s', (_, change, message, opener) => {
    const policy = { ...defaultAcceptPolicy, trustsZeroConf: true };
    const accepter = { policy };
    const options: OpeningOptions = { accepter, ...(opener === undefined ? {} : { opener }) };
    expect(openChannels(options).opener.phase.name).toBe('awaiting_ready');
    expectError(
      () => openChannels({ ...options, accept: (accept) => ({ ...accept, ...change }) }),
      'open_rejected',
      message,
    );
  });

  test('another temporary_channel_id', () => {
    const accept = (message: AcceptChannel) => ({ ...message, temporaryChannelId: new Uint8Array(32) });
    expectError(() => openChannels({ accept }), 'message_unexpected');
  });
});

describe('the signatures of the first commitments', () => {
  const flip = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 40 ? byte ^ 1 : byte));

  test('a wrong one in funding_created ends the opening', () => {
    const created = <T extends { signature: Uint8Array }>(message: T) => ({
      ...message,
      signature: flip(message.signature),
    });
    expectError(() => openChannels({ created }), 'signature_invalid');
  });

  test('a wrong one in funding_signed ends the opening: nothing is published', () => {
    const signed = <T extends { signature: Uint8Array }>(message: T) => ({
      ...message,
      signature: flip(message.signature),
    });
    expectError(() => openChannels({ signed }), 'signature_invalid');
  });

  test('threat 2: one with high S is refused by both', () => {
    const high = <T extends { signature: Uint8Array }>(message: T) => ({
      ...message,
      signature: withHighS(message.signature),
    });
    expectError(() => openChannels({ created: high }), 'signature_invalid');
    expectError(() => openChannels({ signed: high }), 'signature_invalid');
    const twice = <T extends { signature: Uint8Array }>(message: T) => high(high(message));
    expect(openChannels({ created: twice, signed: twice }).opener.localCommit.number).toBe(0n);
  });

  test('of another funding output than the one named is refused', () => {
    expectError(
      () => openChannels({ created: (message) => ({ ...message, fundingOutputIndex: 0 }) }),
      'signature_invalid',
    );
  });

  test('with another id is unexpected', () => {
    expectError(
      () => openChannels({ created: (message) => ({ ...message, temporaryChannelId: new Uint8Array(32) }) }),
      'message_unexpected',
    );
    expectError(
      () => openChannels({ signed: (message) => ({ ...message, channelId: new Uint8Array(32) }) }),
      'message_unexpected',
    );
  });
});

test('threat 1: a funding transaction of another value, script or index is none', () => {
  const { opener, fundingTx } = openChannels();
  const { params } = opener;
  const [change, funding] = fundingTx.outputs as [
    (typeof fundingTx.outputs)[0],
    (typeof fundingTx.outputs)[0],
  ];
  const pays = (outputs: typeof fundingTx.outputs) => {
    const tx = { ...fundingTx, outputs };
    return paysFunding({ ...params, fundingOutpoint: { txid: txid(tx), index: 1 } }, tx);
  };
  expect(pays([change, funding])).toBe(true);
  expect(pays([funding, change])).toBe(false);
  expect(pays([change, { ...funding, valueSat: funding.valueSat - 1n }])).toBe(false);
  expect(pays([change, { ...funding, script: p2wpkhOf(1) }])).toBe(false);
  expect(pays([change])).toBe(false);
  const elsewhere = { ...params, fundingOutpoint: { ...params.fundingOutpoint, index: 0 } };
  expect(paysFunding(elsewhere, fundingTx)).toBe(false);
  expect(paysFunding({ ...params, fundingSat: params.fundingSat + 1n }, fundingTx)).toBe(false);
  expect(paysFunding({ ...params, local: params.remote }, fundingTx)).toBe(false);
});

describe('a request that the peer would have to reject is refused before it goes out', () => {
  const lacking = (feature: keyof typeof allFeatures) => ({ features: { ...allFeatures, [feature]: false } });
  const cases: [string, Partial<OpeningRequest>, ChannelRefusal['code']][] = [
    ['option_dual_fund', { features: { ...allFeatures, dualFund: true } }, 'opening_invalid'],
    ['a type that was not negotiated', lacking('anchors'), 'opening_invalid'],
    [
      'an announced channel with an alias',
      { announce: true, format: { commitment: 'anchors', scidAlias: true, zeroConf: false } },
      'opening_invalid',
    ],
    ['2^24 sat', { fundingSat: 1n << 24n, ...lacking('largeChannels') }, 'opening_invalid'],
    ['a gift above the capacity', { pushMsat: 1_000_000_001n }, 'opening_invalid'],
    ['a negative gift', { pushMsat: -1n }, 'opening_invalid'],
    ['a dust limit too low', { limits: { ...defaultOpeningLimits, dustLimitSat: 353n } }, 'opening_invalid'],
    ['too many HTLCs', { limits: { ...defaultOpeningLimits, maxAcceptedHtlcs: 484 } }, 'opening_invalid'],
    ['a fee that is not covered', { pushMsat: 999_000_000n }, 'opening_invalid'],
    ['a script of no allowed form', { upfrontShutdownScript: Uint8Array.of(0) }, 'script_invalid'],
  ];

  test.each(cases)('%s', (_, change, code) => {
    const error = thrown(() => startOpening(sampleRequest(change)));
    expect(error).toBeInstanceOf(ChannelRefusal);
    expect((error as ChannelRefusal).code).toBe(code);
  });

  test('a funding output that no channel can have', () => {
    const { opening, message } = startOpening(sampleRequest());
    const accepted = acceptOpening(acceptRequest(message));
    const funding = receiveAcceptChannel(opening, accepted.message, defaultPeerTolerance);
    const outpoint = { txid: new Uint8Array(32), index: 0x10000 };
    expect(thrown(() => fundingCreated(funding, { outpoint }))).toBeInstanceOf(ChannelRefusal);
  });
});

const anyU64 = fc.bigInt(0n, (1n << 64n) - 1n);
/** Mostly what may pass, so that the rules meet at their bounds, and anything at all now and then. */
function mostly<T>(likely: fc.Arbitrary<T>, anything: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: likely }, { weight: 1, arbitrary: anything });
}

const arbitraryOpen: fc.Arbitrary<Partial<OpenChannel>> = fc.record(
  {
    fundingSat: mostly(fc.bigInt(19_990n, 100_000n), anyU64),
    pushMsat: mostly(fc.bigInt(0n, 8_000_000n), anyU64),
    dustLimitSat: mostly(fc.bigInt(353n, 1_001n), anyU64),
    channelReserveSat: mostly(fc.bigInt(353n, 5_000n), anyU64),
    maxHtlcValueInFlightMsat: mostly(fc.bigInt(990_000n, 2_000_000n), anyU64),
    htlcMinimumMsat: mostly(fc.bigInt(0n, 1_001_000n), anyU64),
    feeratePerKw: mostly(fc.integer({ min: 250, max: 20_000 }), fc.integer({ min: 0, max: 0xffffffff })),
    toSelfDelay: mostly(fc.integer({ min: 0, max: 2_018 }), fc.integer({ min: 0, max: 0xffff })),
    maxAcceptedHtlcs: mostly(fc.integer({ min: 0, max: 485 }), fc.integer({ min: 0, max: 0xffff })),
    channelFlags: fc.integer({ min: 0, max: 255 }),
    channelType: mostly<Uint8Array | undefined>(
      fc.constantFrom(
        anchors,
        encodeChannelType({ base: 'static_remotekey', scidAlias: false, zeroconf: true }),
        encodeChannelType({ base: 'anchors', scidAlias: true, zeroconf: true }),
      ),
      fc.option(fc.uint8Array({ maxLength: 8 }), { nil: undefined }),
    ),
    upfrontShutdownScript: mostly<Uint8Array | undefined>(
      fc.constantFrom(new Uint8Array(0), p2wpkhOf(1), p2trOf(1)),
      fc.constantFrom(Uint8Array.of(1), undefined),
    ),
    htlcBasepoint: mostly(
      fc.constantFrom(openerSigner.basepoints.htlcBasepoint, openerSigner.basepoints.fundingPubkey),
      fc.uint8Array({ minLength: 33, maxLength: 33 }),
    ),
  },
  { requiredKeys: [] },
);

test('any open_channel is rejected, or answered by what its opener has to accept', () => {
  const { opening } = startOpening(sampleRequest({ fundingSat: 50_000n, pushMsat: 5_000_000n }));
  const policy = { ...defaultAcceptPolicy, trustsZeroConf: true };
  let accepted = 0;
  fc.assert(
    fc.property(arbitraryOpen, (change) => {
      const open: OpenChannel = { ...opening.open, ...change };
      let answer: ReturnType<typeof acceptOpening>;
      try {
        answer = acceptOpening(acceptRequest(open, { policy }));
      } catch (error) {
        expect(error).toBeInstanceOf(ChannelError);
        expect((error as ChannelError).code).toBe('open_rejected');
        return;
      }
      accepted++;
      const { format } = answer.opening;
      const { fundingSat, pushMsat, feeratePerKw } = open;
      const request = {
        ...opening.request,
        fundingSat,
        pushMsat,
        feeratePerKw,
        format,
        announce: open.channelFlags % 2 === 1,
      };
      const funding = receiveAcceptChannel(
        { state: 'awaiting_accept', request, open },
        answer.message,
        defaultPeerTolerance,
      );
      const outpoint = { txid: new Uint8Array(32).fill(4), index: 0 };
      const created = fundingCreated(funding, { outpoint });
      const signed = receiveFundingCreated(answer.opening, created.message);
      const { channel } = receiveFundingSigned(created.opening, signed.message);
      expect(channel.localMsat + channel.remoteMsat).toBe(fundingSat * 1000n);
    }),
    { numRuns: 1_500, seed: 20 },
  );
  expect(accepted).toBeGreaterThan(150);
});
