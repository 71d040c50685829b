import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../bytes/bytes.js';
import { ByteWriter } from '../bytes/byteWriter.js';
import { hmacSha256, secp256k1, sha256 } from '../crypto/index.js';
import { createOnion } from './createOnion.js';
import { failureCode } from './failureMessage.js';
import { OnionError, OnionFullError } from './onionError.js';
import { applyStream, onionKey } from './onionKeys.js';
import { onionBytesLeft } from './onionPacket.js';
import { peelOnion } from './peelOnion.js';

const key = (byte: number) => new Uint8Array(32).fill(byte);
const hash = sha256(key(0x42));
const bytesOf = (length: number, seed: number) => new Uint8Array(length).map((_, i) => (seed + i * 7) & 0xff);

function route(lengths: readonly number[]) {
  return lengths.map((length, i) => ({
    publicKey: secp256k1.publicKey(key(i + 1)),
    payload: bytesOf(length, i),
  }));
}

/** Peels along the route and returns the payload of each hop. */
function peelAll(packet: Uint8Array, hops: number, associatedData = hash) {
  const payloads: Uint8Array[] = [];
  const secrets: Uint8Array[] = [];
  let current = packet;
  for (let i = 0; i < hops; i++) {
    const peeled = peelOnion({ privateKey: key(i + 1), packet: current, associatedData });
    if (peeled.type !== 'forward' && peeled.type !== 'final') throw new Error(`hop ${i}: ${peeled.type}`);
    expect(peeled.type).toBe(i === hops - 1 ? 'final' : 'forward');
    payloads.push(peeled.payload);
    secrets.push(peeled.sharedSecret);
    if (peeled.type === 'forward') {
      expect(peeled.nextPacket.length).toBe(packet.length);
      current = peeled.nextPacket;
    }
  }
  return { payloads, secrets };
}

/** A packet for the key `privateKey`, whose decrypted payloads start with `start`: authentic nonsense. */
function authenticPacket(privateKey: Uint8Array, start: Uint8Array): Uint8Array {
  const sessionKey = key(0x41);
  const sharedSecret = secp256k1.ecdh(secp256k1.publicKey(privateKey), sessionKey);
  const payloads = new Uint8Array(1300);
  payloads.set(start);
  applyStream(onionKey('rho', sharedSecret), payloads);
  const hmac = hmacSha256(onionKey('mu', sharedSecret), payloads, hash);
  return concatBytes(Uint8Array.of(0), secp256k1.publicKey(sessionKey), payloads, hmac);
}

describe('an onion', () => {
  test('gives each of 1 to 20 hops its payload and its secret', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 2, max: 31 }), { minLength: 1, maxLength: 20 }), (lengths) => {
        const hops = route(lengths);
        const { packet, sharedSecrets } = createOnion({ sessionKey: key(0x41), associatedData: hash, hops });
        expect(packet.length).toBe(1366);
        const { payloads, secrets } = peelAll(packet, hops.length);
        expect(payloads).toEqual(hops.map(({ payload }) => payload));
        expect(secrets).toEqual(sharedSecrets);
      }),
      { numRuns: 40 },
    );
  });

  test('carries payloads of every length around the length prefixes, to the last byte', () => {
    for (const lengths of [[252], [253], [254], [1265], [252, 980], [253, 977], [600, 627], [20, 1212]]) {
      const hops = route(lengths);
      const { packet } = createOnion({ sessionKey: key(0x41), associatedData: hash, hops });
      expect(peelAll(packet, hops.length).payloads).toEqual(hops.map(({ payload }) => payload));
    }
    expect(onionBytesLeft([1265])).toBe(0);
    expect(onionBytesLeft([20, 1212])).toBe(0);
  });

  test('says how many bytes fit when the payloads are too long', () => {
    const full = (lengths: readonly number[]) => () =>
      createOnion({ sessionKey: key(0x41), associatedData: hash, hops: route(lengths) });
    expect(full([1266])).toThrow(OnionFullError);
    expect(full([1266])).toThrow(
      expect.objectContaining({ code: 'onion_full', neededBytes: 1301, roomBytes: 1300 }),
    );
    expect(full([100, 1300])).toThrow(expect.objectContaining({ neededBytes: 133 + 1335 }));
    expect(full([65536])).toThrow(expect.objectContaining({ neededBytes: 65536 + 37 }));
    expect(onionBytesLeft([100, 1300])).toBe(1300 - 133 - 1335);
    expect(onionBytesLeft([])).toBe(1300);
  });

  test('refuses an empty route, reserved payload lengths and invalid keys', () => {
    const associatedData = hash;
    const publicKey = secp256k1.publicKey(key(1));
    expect(() => createOnion({ sessionKey: key(1), associatedData, hops: [] })).toThrow(OnionError);
    for (const length of [0, 1]) {
      const hops = [{ publicKey, payload: new Uint8Array(length) }];
      const run = () => createOnion({ sessionKey: key(1), associatedData, hops });
      expect(run).toThrow(expect.objectContaining({ code: 'payload_too_short' }));
    }
    const hops = [{ publicKey, payload: new Uint8Array(2) }];
    expect(() => createOnion({ sessionKey: key(0), associatedData, hops })).toThrow(
      expect.objectContaining({ code: 'private_key_invalid' }),
    );
    const badHops = [{ publicKey: new Uint8Array(33), payload: new Uint8Array(2) }];
    expect(() => createOnion({ sessionKey: key(1), associatedData, hops: badHops })).toThrow(
      expect.objectContaining({ code: 'public_key_invalid' }),
    );
  });

  test('may have another length, as those of onion messages do', () => {
    for (const payloadsLength of [100, 1300, 32768]) {
      const hops = route([30, 30]).slice(0, payloadsLength === 100 ? 1 : 2);
      const associatedData = new Uint8Array();
      const { packet } = createOnion({ sessionKey: key(0x41), associatedData, hops, payloadsLength });
      expect(packet.length).toBe(payloadsLength + 66);
      expect(peelAll(packet, hops.length, associatedData).payloads[0]).toEqual(bytesOf(30, 0));
    }
  });
});

describe('peeling', () => {
  const { packet } = createOnion({ sessionKey: key(0x41), associatedData: hash, hops: route([20, 20, 20]) });

  test('any altered byte is found, and its failure carries the hash of the onion', () => {
    for (let position = 0; position < packet.length; position++) {
      const altered = Uint8Array.from(packet);
      altered[position] = (altered[position] as number) ^ 0x10;
      const peeled = peelOnion({ privateKey: key(1), packet: altered, associatedData: hash });
      if (peeled.type !== 'malformed') throw new Error(`byte ${position} went unnoticed`);
      const expected = position === 0 ? [0xc004] : position < 34 ? [0xc005, 0xc006] : [0xc005];
      expect(expected).toContain(failureCode(peeled.failure));
      expect(peeled.failure.sha256OfOnion).toEqual(sha256(altered));
    }
  });

  test('other associated data or another key is refused', () => {
    for (const [privateKey, associatedData] of [
      [key(2), hash],
      [key(1), key(0)],
      [key(1), new Uint8Array()],
    ] as const) {
      const peeled = peelOnion({ privateKey, packet, associatedData });
      expect(peeled).toMatchObject({ type: 'malformed', failure: { type: 'invalid_onion_hmac' } });
    }
  });

  test('random bytes of any length end in a typed failure', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.constantFrom(0, 2, 3), (random, prefix) => {
        const headed = concatBytes(Uint8Array.of(0, prefix), random);
        for (const bytes of [random, headed]) {
          const peeled = peelOnion({ privateKey: key(1), packet: bytes, associatedData: hash });
          expect(peeled.type).toBe('malformed');
        }
      }),
    );
  });

  test('threat 9: a payload that claims a length that is not there is refused without allocating it', () => {
    const bigSize = (length: number) => {
      const writer = new ByteWriter();
      if (length < 0x1_0000) writer.u8(0xfd).u16(length);
      else writer.u8(0xfe).u32(length);
      return writer.finish();
    };
    const starts = [
      bigSize(2 ** 32 - 1),
      bigSize(65536),
      bigSize(65535),
      bigSize(1300),
      bigSize(1266), // one byte more than fits with its HMAC
      bigSize(20), // not minimal
      new Uint8Array(9).fill(0xff), // 2^64 - 1
      Uint8Array.of(0),
      Uint8Array.of(1),
    ];
    for (const start of starts) {
      const peeled = peelOnion({
        privateKey: key(1),
        packet: authenticPacket(key(1), start),
        associatedData: hash,
      });
      expect(peeled).toMatchObject({
        type: 'invalid',
        failure: { type: 'invalid_onion_payload', tlvType: 0n, offset: 0 },
      });
    }
    const fits = peelOnion({
      privateKey: key(1),
      packet: authenticPacket(key(1), bigSize(1265)),
      associatedData: hash,
    });
    expect(fits.type).toBe('final');
  });
});
