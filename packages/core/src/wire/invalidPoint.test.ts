import { describe, expect, test } from 'vitest';
import { hexToBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { invalidPoint } from './invalidPoint.js';
import type { ChannelReady } from './messages/channelReady.js';
import type { UpdateAddHtlc } from './messages/updateAddHtlc.js';

const onCurve = secp256k1.publicKey(new Uint8Array(32).fill(1));
/** No x of this value is on the curve: x^3 + 7 is no square. */
const offCurve = hexToBytes(`02${'00'.repeat(31)}05`);

const ready: ChannelReady = {
  type: 'channel_ready',
  channelId: new Uint8Array(32),
  secondPerCommitmentPoint: onCurve,
};

const htlc: UpdateAddHtlc = {
  type: 'update_add_htlc',
  channelId: new Uint8Array(32),
  id: 0n,
  amountMsat: 1n,
  paymentHash: new Uint8Array(32),
  cltvExpiry: 1,
  onionRoutingPacket: new Uint8Array(1366),
};

describe('invalidPoint', () => {
  test('names the field whose point is not on the curve, in fields and in records', () => {
    expect(invalidPoint(ready)).toBeUndefined();
    expect(invalidPoint({ ...ready, secondPerCommitmentPoint: offCurve })).toBe('secondPerCommitmentPoint');
    expect(invalidPoint(htlc)).toBeUndefined();
    expect(invalidPoint({ ...htlc, pathKey: onCurve })).toBeUndefined();
    expect(invalidPoint({ ...htlc, pathKey: offCurve })).toBe('pathKey');
  });

  test('a message without points has none that is invalid', () => {
    expect(invalidPoint({ type: 'pong', ignored: new Uint8Array(33) })).toBeUndefined();
  });
});
