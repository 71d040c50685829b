import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../bytes/index.js';
import type { Htlc } from '../../channel/index.js';
import { secp256k1, sha256 } from '../../crypto/index.js';
import { createOnion, decryptFailureOnion, encodeHopPayload, type HopPayload } from '../../onion/index.js';
import { keysendRecordType } from '../keysend.js';
import { decideIncoming, type IncomingInput } from './decideKeysend.test.support.js';
import type { RefusalCause } from './index.js';

const nodePrivateKey = new Uint8Array(32).fill(0x42);
const publicKey = secp256k1.publicKey(nodePrivateKey);
const sessionKey = new Uint8Array(32).fill(0x43);
const preimage = new Uint8Array(32).fill(0x44);
const blockHeight = 800_000;
const amountMsat = 10_000n;
const cltvExpiry = blockHeight + 80;

function htlcWith(payload: Uint8Array, changes: Partial<Htlc> = {}): { htlc: Htlc; secrets: Uint8Array[] } {
  const paymentHash = changes.paymentHash ?? sha256(preimage);
  const { packet, sharedSecrets } = createOnion({
    sessionKey,
    associatedData: paymentHash,
    hops: [{ publicKey, payload }],
  });
  const htlc: Htlc = {
    direction: 'received',
    id: 0n,
    state: 'rcvd_add_ack_revocation',
    amountMsat,
    cltvExpiry,
    onion: packet,
    ...changes,
    paymentHash,
  };
  return { htlc, secrets: [...sharedSecrets] };
}

const ordinary: HopPayload = {
  amountToForwardMsat: amountMsat,
  outgoingCltvValue: cltvExpiry,
  customRecords: new Map([[keysendRecordType, preimage]]),
};

function decide(
  payload: HopPayload | Uint8Array,
  { htlc: changes, ...input }: Partial<Omit<IncomingInput, 'htlc'>> & { htlc?: Partial<Htlc> } = {},
) {
  const encoded = payload instanceof Uint8Array ? payload : encodeHopPayload(payload);
  const { htlc, secrets } = htlcWith(encoded, changes);
  const decision = decideIncoming({
    htlc,
    nodePrivateKey,
    blockHeight,
    policy: { acceptKeysend: true, minAmountMsat: 1n },
    isSeen: () => false,
    ...input,
  });
  return { decision, htlc, secrets };
}

const records = (...entries: [bigint, Uint8Array][]): HopPayload => ({
  ...ordinary,
  customRecords: new Map(entries),
});

test('a keysend is taken, its preimage given out and every other record kept', () => {
  const message = Uint8Array.of(1, 2, 3);
  const { decision } = decide(
    records([34349334n, message], [keysendRecordType, preimage], [1n << 63n, message]),
  );
  expect(decision).toMatchObject({
    type: 'accept',
    payment: { amountMsat, preimage },
    settlement: { type: 'fulfill', preimage },
  });
  if (decision.type !== 'accept') throw new Error('refused');
  expect([...decision.payment.customRecords.keys()]).toEqual([34349334n, 1n << 63n]);
});

describe('threat 27: a keysend is refused, with one answer whatever the cause,', () => {
  const cases: [string, RefusalCause, () => ReturnType<typeof decide>][] = [
    ['without the record', 'no_keysend_record', () => decide(records())],
    [
      'with a preimage of 31 bytes',
      'preimage_length',
      () => decide(records([keysendRecordType, preimage.slice(1)])),
    ],
    [
      'with an empty preimage',
      'preimage_length',
      () =>
        decide(records([keysendRecordType, new Uint8Array(0)]), {
          htlc: { paymentHash: sha256(new Uint8Array(0)) },
        }),
    ],
    [
      'with a preimage of another hash',
      'preimage_mismatch',
      () => decide(ordinary, { htlc: { paymentHash: sha256(Uint8Array.of(1)) } }),
    ],
    ['whose hash was seen before', 'hash_seen_before', () => decide(ordinary, { isSeen: () => true })],
    [
      'that is dust beyond the limit',
      'dust_exposure',
      () => decide(ordinary, { htlc: { mustFail: 'dust_exposure' } }),
    ],
    [
      'that is part of a larger payment',
      'partial_payment',
      () => decide({ ...ordinary, paymentData: { paymentSecret: preimage, totalMsat: amountMsat + 1n } }),
    ],
    [
      'below the minimum',
      'amount_below_minimum',
      () => decide(ordinary, { policy: { acceptKeysend: true, minAmountMsat: amountMsat + 1n } }),
    ],
    [
      'where keysend is off',
      'keysend_disabled',
      () => decide(ordinary, { policy: { acceptKeysend: false, minAmountMsat: 1n } }),
    ],
    [
      'that expires too soon to be claimed on chain',
      'expiry_too_soon',
      () => decide(ordinary, { blockHeight: cltvExpiry - 18 }),
    ],
  ];
  test.each(cases)('%s', (_, cause, run) => {
    const { decision, secrets } = run();
    if (decision.type !== 'refuse' || decision.settlement.type !== 'fail') throw new Error('not refused');
    expect(decision.cause).toBe(cause);
    const found = decryptFailureOnion({ sharedSecrets: secrets, packet: decision.settlement.reason });
    expect(found).toMatchObject({
      failure: { type: 'incorrect_or_unknown_payment_details', htlcMsat: amountMsat },
    });
  });
});

test('a keysend with 19 blocks left is taken: one less is too few', () => {
  expect(decide(ordinary, { blockHeight: cltvExpiry - 19 }).decision.type).toBe('accept');
});

test('threat 3: no preimage goes out for an HTLC of less than the sender said, or of another onion', () => {
  const less = decide(ordinary, { htlc: { amountMsat: amountMsat - 1n } });
  expect(less.decision).toMatchObject({ type: 'refuse', cause: 'amount_incorrect' });
  const sooner = decide(ordinary, { htlc: { cltvExpiry: cltvExpiry - 1 } });
  expect(sooner.decision).toMatchObject({ type: 'refuse', cause: 'expiry_incorrect' });
  // The onion of one HTLC under the hash of another: its HMAC covers the hash.
  const { htlc } = htlcWith(encodeHopPayload(ordinary));
  const stolen = { ...htlc, paymentHash: sha256(Uint8Array.of(9)) };
  const decision = decideIncoming({
    htlc: stolen,
    nodePrivateKey,
    blockHeight,
    policy: { acceptKeysend: true, minAmountMsat: 1n },
    isSeen: () => false,
  });
  expect(decision).toMatchObject({ type: 'refuse', cause: 'onion_malformed' });
});

/** Payloads from sense to nonsense: records that are cut, doubled, out of order, or any bytes. */
const hostilePayload = fc.oneof(
  fc.uint8Array({ minLength: 2, maxLength: 1200 }),
  fc
    .array(
      fc.record({
        type: fc.oneof(
          fc.constantFrom(2n, 4n, 6n, 8n, 10n, 12n, 16n, 18n, keysendRecordType),
          fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        ),
        value: fc.oneof(fc.constant(preimage), fc.uint8Array({ maxLength: 70 })),
        length: fc.option(fc.nat(300), { nil: undefined }),
      }),
      { maxLength: 8 },
    )
    .map((entries) => {
      const writer = new ByteWriter();
      for (const { type, value, length } of [...entries].sort((a, b) => (a.type < b.type ? -1 : 1))) {
        writeBigSize(writer, type);
        writeBigSize(writer, BigInt(length ?? value.length));
        writer.bytes(value);
      }
      return writer.finish();
    })
    .filter(({ length }) => length >= 2 && length <= 1200),
);

function writeBigSize(writer: ByteWriter, value: bigint): void {
  if (value < 0xfdn) writer.u8(Number(value));
  else if (value <= 0xffffn) writer.u8(0xfd).u16(Number(value));
  else if (value <= 0xffff_ffffn) writer.u8(0xfe).u32(Number(value));
  else writer.u8(0xff).u64(value);
}

test('threat 27: whatever is in the onion, the answer is a settlement and never an exception', () => {
  fc.assert(
    fc.property(hostilePayload, fc.bigInt({ min: 1n, max: 1n << 62n }), (payload, htlcMsat) => {
      const { decision } = decide(payload, { htlc: { amountMsat: htlcMsat } });
      if (decision.type === 'refuse') expect(decision.settlement.type).toBe('fail');
      else expect(decision.settlement).toEqual({ type: 'fulfill', preimage });
    }),
    { numRuns: 400 },
  );
});

test('threat 9, 27: whatever the packet is, the answer is a settlement and never an exception', () => {
  const { htlc } = htlcWith(encodeHopPayload(ordinary));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 1366, maxLength: 1366 }),
        fc.tuple(fc.nat(1365), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
          const onion = htlc.onion.slice();
          onion[at] = (onion[at] as number) ^ flip;
          return onion;
        }),
        fc.constant(new Uint8Array(0)),
      ),
      (onion) => {
        const decision = decideIncoming({
          htlc: { ...htlc, onion },
          nodePrivateKey,
          blockHeight,
          policy: { acceptKeysend: true, minAmountMsat: 1n },
          isSeen: () => false,
        });
        expect(decision).toMatchObject({ type: 'refuse', settlement: { type: 'fail_malformed' } });
      },
    ),
    { numRuns: 200 },
  );
});
