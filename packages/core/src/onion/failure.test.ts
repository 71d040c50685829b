import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../bytes/bytes.js';
import { bytesToHex, hexToBytes } from '../bytes/hex.js';
import { sha256 } from '../crypto/index.js';
import {
  decodeFailureMessage,
  encodeFailureMessage,
  type FailureMessage,
  failureCode,
  failureFlags,
  failureFromMalformed,
} from './failureMessage.js';
import { createFailureOnion, decryptFailureOnion, wrapFailureOnion } from './failureOnion.js';
import { OnionError } from './onionError.js';

const sha256OfOnion = sha256(Uint8Array.of(1));
const channelUpdate = Uint8Array.of(1, 2, 3);
/** BOLT 4's list: each failure, as hex. */
const every: readonly [FailureMessage, string][] = [
  [{ type: 'temporary_node_failure' }, '2002'],
  [{ type: 'permanent_node_failure' }, '6002'],
  [{ type: 'required_node_feature_missing' }, '6003'],
  [{ type: 'invalid_onion_version', sha256OfOnion }, `c004${bytesToHex(sha256OfOnion)}`],
  [{ type: 'invalid_onion_hmac', sha256OfOnion }, `c005${bytesToHex(sha256OfOnion)}`],
  [{ type: 'invalid_onion_key', sha256OfOnion }, `c006${bytesToHex(sha256OfOnion)}`],
  [{ type: 'temporary_channel_failure', channelUpdate }, '10070003010203'],
  [{ type: 'permanent_channel_failure' }, '4008'],
  [{ type: 'required_channel_feature_missing' }, '4009'],
  [{ type: 'unknown_next_peer' }, '400a'],
  [{ type: 'amount_below_minimum', htlcMsat: 5n, channelUpdate }, '100b00000000000000050003010203'],
  [{ type: 'fee_insufficient', htlcMsat: 6n, channelUpdate: new Uint8Array() }, '100c00000000000000060000'],
  [{ type: 'incorrect_cltv_expiry', cltvExpiry: 7, channelUpdate }, '100d000000070003010203'],
  [{ type: 'expiry_too_soon', channelUpdate }, '100e0003010203'],
  [
    { type: 'incorrect_or_unknown_payment_details', htlcMsat: 100n, height: 800_000 },
    '400f0000000000000064000c3500',
  ],
  [{ type: 'final_incorrect_cltv_expiry', cltvExpiry: 8 }, '001200000008'],
  [{ type: 'final_incorrect_htlc_amount', incomingHtlcMsat: 9n }, '00130000000000000009'],
  [{ type: 'channel_disabled', disabledFlags: 0, channelUpdate }, '101400000003010203'],
  [{ type: 'expiry_too_far' }, '0015'],
  [{ type: 'invalid_onion_payload', tlvType: 300n, offset: 2 }, '4016fd012c0002'],
  [{ type: 'mpp_timeout' }, '0017'],
  [{ type: 'invalid_onion_blinding', sha256OfOnion }, `c018${bytesToHex(sha256OfOnion)}`],
];

describe('failure messages', () => {
  test.each(every.map(([failure, hex]) => ({ name: failure.type, failure, hex })))(
    '$name reads and writes',
    (row) => {
      expect(bytesToHex(encodeFailureMessage(row.failure))).toBe(row.hex);
      expect(decodeFailureMessage(hexToBytes(row.hex))).toEqual(row.failure);
      expect(failureCode(row.failure)).toBe(Number.parseInt(row.hex.slice(0, 4), 16));
    },
  );

  test('keep the TLV records behind the data, and ignore other bytes there', () => {
    const failure: FailureMessage = {
      type: 'mpp_timeout',
      tlvs: [{ type: 34001n, value: new Uint8Array(300).fill(128) }],
    };
    expect(decodeFailureMessage(encodeFailureMessage(failure))).toEqual(failure);
    expect(decodeFailureMessage(hexToBytes('001705'))).toEqual({ type: 'mpp_timeout' });
    expect(decodeFailureMessage(hexToBytes('0017ffffff'))).toEqual({ type: 'mpp_timeout' });
  });

  test('of unknown codes, or with data cut short, are kept as they came', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 60 }), (bytes) => {
        const failure = decodeFailureMessage(bytes);
        expect(failure && failureCode(failure)).toBe(((bytes[0] as number) << 8) | (bytes[1] as number));
        if (failure?.type === 'unknown') expect(encodeFailureMessage(failure)).toEqual(bytes);
      }),
    );
    expect(decodeFailureMessage(hexToBytes('400f00'))).toEqual({
      type: 'unknown',
      failureCode: 0x400f,
      data: Uint8Array.of(0),
    });
    expect(decodeFailureMessage(hexToBytes('40'))).toBeUndefined();
  });

  test('show the flags of their codes', () => {
    const flags = { badOnion: false, permanent: false, node: false, update: false };
    expect(failureFlags({ type: 'temporary_node_failure' })).toEqual({ ...flags, node: true });
    expect(failureFlags({ type: 'expiry_too_soon', channelUpdate })).toEqual({ ...flags, update: true });
    const unknown = { type: 'unknown', failureCode: 0xc0ff, data: new Uint8Array() } as const;
    expect(failureFlags(unknown)).toEqual({ ...flags, badOnion: true, permanent: true });
    expect(failureFlags({ type: 'mpp_timeout' })).toEqual(flags);
  });

  test('with a field out of range are refused', () => {
    const invalid = expect.objectContaining({ code: 'failure_invalid' });
    expect(() => encodeFailureMessage({ type: 'final_incorrect_cltv_expiry', cltvExpiry: -1 })).toThrow(
      invalid,
    );
    expect(() =>
      encodeFailureMessage({ type: 'final_incorrect_htlc_amount', incomingHtlcMsat: 2n ** 64n }),
    ).toThrow(invalid);
    expect(() => encodeFailureMessage({ type: 'invalid_onion_key', sha256OfOnion: channelUpdate })).toThrow(
      invalid,
    );
    expect(() =>
      encodeFailureMessage({ type: 'unknown', failureCode: 65536, data: new Uint8Array() }),
    ).toThrow(invalid);
  });

  test('made from update_fail_malformed_htlc carry its code and the hash of the onion', () => {
    expect(failureFromMalformed(0xc006, sha256OfOnion)).toEqual({ type: 'invalid_onion_key', sha256OfOnion });
    expect(failureFromMalformed(0xc018, sha256OfOnion)).toEqual({
      type: 'invalid_onion_blinding',
      sha256OfOnion,
    });
    for (const code of [0xc0ff, 0x8001]) {
      const failure = failureFromMalformed(code, sha256OfOnion);
      expect(failureCode(failure)).toBe(code);
      expect(encodeFailureMessage(failure).subarray(2)).toEqual(sha256OfOnion);
    }
  });
});

describe('failure onions', () => {
  const secrets = (count: number) => Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i)));
  const failure: FailureMessage = { type: 'temporary_channel_failure', channelUpdate };

  /** What the sender gets when hop `erring` fails. */
  function failAt(sharedSecrets: readonly Uint8Array[], erring: number): Uint8Array {
    const sharedSecret = sharedSecrets[erring] as Uint8Array;
    let packet = createFailureOnion({ sharedSecret, failure });
    for (let hop = erring - 1; hop >= 0; hop--) {
      packet = wrapFailureOnion({ sharedSecret: sharedSecrets[hop] as Uint8Array, packet });
    }
    return packet;
  }

  test('tell the sender who failed and why, for routes of 1 to 27 hops', () => {
    for (const count of [1, 2, 5, 20, 27]) {
      const sharedSecrets = secrets(count);
      for (let hopIndex = 0; hopIndex < count; hopIndex++) {
        const packet = failAt(sharedSecrets, hopIndex);
        expect(packet.length).toBe(32 + 2 + 2 + 256);
        expect(decryptFailureOnion({ sharedSecrets, packet })).toEqual({
          type: 'attributed',
          hopIndex,
          failure,
        });
      }
    }
  });

  test('with any byte altered are blamed on nobody', () => {
    const sharedSecrets = secrets(3);
    const packet = failAt(sharedSecrets, 2);
    for (let position = 0; position < packet.length; position++) {
      const altered = Uint8Array.from(packet);
      altered[position] = (altered[position] as number) ^ 1;
      expect(decryptFailureOnion({ sharedSecrets, packet: altered })).toEqual({ type: 'unattributable' });
    }
  });

  test('threat 25: too large or too small are not looked at, and not passed on past a message', () => {
    const sharedSecrets = secrets(2);
    for (const length of [0, 1, 31, 35, 8193, 65535]) {
      expect(decryptFailureOnion({ sharedSecrets, packet: new Uint8Array(length) })).toEqual({
        type: 'unattributable',
      });
    }
    const wrap = (length: number) => () =>
      wrapFailureOnion({ sharedSecret: sharedSecrets[0] as Uint8Array, packet: new Uint8Array(length) });
    expect(wrap(65000)).toThrow(expect.objectContaining({ code: 'failure_too_large' }));
    expect(wrap(64000)).not.toThrow();
    expect(wrap(0)).not.toThrow();
    const large = { type: 'unknown', failureCode: 1, data: new Uint8Array(65000) } as const;
    expect(() =>
      createFailureOnion({ sharedSecret: sharedSecrets[0] as Uint8Array, failure: large }),
    ).toThrow(OnionError);
  });

  test('hide the length of the failure behind padding', () => {
    const sharedSecret = sha256(Uint8Array.of(1));
    const long = { type: 'unknown', failureCode: 1, data: new Uint8Array(400) } as const;
    expect(createFailureOnion({ sharedSecret, failure: long }).length).toBe(36 + 402);
    expect(createFailureOnion({ sharedSecret, failure: long, paddedLength: 1024 }).length).toBe(36 + 1024);
    expect(createFailureOnion({ sharedSecret, failure, paddedLength: 3 }).length).toBe(36 + 256);
    for (const paddedLength of [256, 1024]) {
      const packet = createFailureOnion({ sharedSecret, failure: long, paddedLength });
      expect(decryptFailureOnion({ sharedSecrets: [sharedSecret], packet })).toMatchObject({ failure: long });
    }
  });

  test('leave the packets that they are made from as they were', () => {
    const sharedSecrets = secrets(2);
    const packet = failAt(sharedSecrets, 1);
    const before = packet.slice();
    wrapFailureOnion({ sharedSecret: sharedSecrets[0] as Uint8Array, packet });
    decryptFailureOnion({ sharedSecrets, packet });
    expect(packet).toEqual(before);
    expect(concatBytes(packet)).toEqual(before);
  });
});
