import { expect, test } from 'vitest';
import { secp256k1, sha256 } from '../../crypto/index.js';
import { createOnion, encodeHopPayload, type HopPayload } from '../../onion/index.js';
import { readIncoming } from './readIncoming.js';

const nodePrivateKey = new Uint8Array(32).fill(0x42);
const publicKey = secp256k1.publicKey(nodePrivateKey);
const nextKey = secp256k1.publicKey(new Uint8Array(32).fill(0x41));
const sessionKey = new Uint8Array(32).fill(0x43);
const paymentHash = new Uint8Array(32).fill(0x44);

const last: HopPayload = { amountToForwardMsat: 5n, outgoingCltvValue: 9, customRecords: new Map() };
const middle: HopPayload = { ...last, shortChannelId: 77n };

function read(payloads: readonly HopPayload[], changes: { pathKey?: Uint8Array; onion?: Uint8Array } = {}) {
  const hops = payloads.map((payload, i) => ({
    publicKey: i === 0 ? publicKey : nextKey,
    payload: encodeHopPayload(payload),
  }));
  const { packet, sharedSecrets } = createOnion({ sessionKey, associatedData: paymentHash, hops });
  const incoming = readIncoming({ htlc: { onion: packet, paymentHash, ...changes }, nodePrivateKey });
  return { incoming, packet, sharedSecret: sharedSecrets[0] };
}

test('an onion for us gives its payload', () => {
  const { incoming, sharedSecret } = read([last]);
  expect(incoming).toEqual({ type: 'final', sharedSecret, payload: last });
});

test('an onion for another gives what it goes on with', () => {
  const { incoming, sharedSecret } = read([middle, last]);
  expect(incoming).toMatchObject({ type: 'forward', sharedSecret, payload: middle });
  if (incoming.type !== 'forward') throw new Error('not to be forwarded');
  const nextPrivateKey = new Uint8Array(32).fill(0x41);
  const next = { onion: incoming.nextPacket, paymentHash };
  expect(readIncoming({ htlc: next, nodePrivateKey: nextPrivateKey })).toMatchObject({ type: 'final' });
});

test.each([
  ['without a channel to forward through', [last, last], 6n],
  ['without an amount', [{ ...middle, amountToForwardMsat: undefined }, last], 2n],
  ['without an expiry for us', [{ ...last, outgoingCltvValue: undefined }], 4n],
  ['of the end of a blinded route', [{ ...last, encryptedRecipientData: Uint8Array.of(1) }], 10n],
])('a payload %s is invalid', (_, payloads, tlvType) => {
  const { incoming, sharedSecret } = read(payloads);
  expect(incoming).toEqual({
    type: 'invalid',
    sharedSecret,
    failure: { type: 'invalid_onion_payload', tlvType, offset: 0 },
  });
});

test('the beginning of a blinded route is refused as BOLT 4 wants it', () => {
  const payload = { ...last, encryptedRecipientData: Uint8Array.of(1), currentPathKey: nextKey };
  const { incoming, packet, sharedSecret } = read([payload, last]);
  expect(incoming).toEqual({
    type: 'invalid',
    sharedSecret,
    failure: { type: 'invalid_onion_blinding', sha256OfOnion: sha256(packet) },
  });
});

test('an HTLC inside of a blinded route is failed as malformed', () => {
  const { incoming, packet } = read([last], { pathKey: nextKey });
  expect(incoming).toEqual({
    type: 'malformed',
    settlement: {
      type: 'fail_malformed',
      sha256OfOnion: sha256(packet),
      failureCode: 0x8000 | 0x4000 | 24,
    },
  });
});

test.each([
  ['empty', new Uint8Array(0)],
  ['of another version', new Uint8Array(1366).fill(1)],
  ['of zeros', new Uint8Array(1366)],
])('threat 9: an onion that is %s is failed as malformed', (_, onion) => {
  expect(read([last], { onion }).incoming).toMatchObject({
    type: 'malformed',
    settlement: { type: 'fail_malformed', sha256OfOnion: sha256(onion) },
  });
});
