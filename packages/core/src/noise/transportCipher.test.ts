import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../bytes/bytes.js';
import { NoiseError } from './noiseError.js';
import { TransportCipher } from './transportCipher.js';

const key = (byte: number) => new Uint8Array(32).fill(byte);
function pair() {
  const chainingKey = key(3);
  return {
    alice: new TransportCipher({ chainingKey, sendKey: key(1), receiveKey: key(2) }),
    bob: new TransportCipher({ chainingKey, sendKey: key(2), receiveKey: key(1) }),
  };
}
const failsWith = (code: string) => expect.objectContaining({ name: 'NoiseError', code });

describe('the transport cipher', () => {
  test('delivers every message in order, whatever the chunks are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 6 }),
        (messages, sizes) => {
          const { alice, bob } = pair();
          const stream = alice.encrypt(...messages);
          const received: Uint8Array[] = [];
          for (let offset = 0, turn = 0; offset < stream.length; turn++) {
            const size = sizes[turn % sizes.length] as number;
            received.push(...bob.decrypt(stream.subarray(offset, offset + size)));
            offset += size;
          }
          expect(received).toEqual(messages);
        },
      ),
    );
  });

  test('carries the longest message, byte by byte, and refuses a longer one unharmed', () => {
    const { alice, bob } = pair();
    const longest = new Uint8Array(65535).map((_, i) => i);
    expect(() => alice.encrypt(Uint8Array.of(1), new Uint8Array(65536))).toThrow(
      failsWith('message_too_long'),
    );
    const packet = alice.encrypt(longest);
    expect(packet.length).toBe(65569);
    const received: Uint8Array[] = [];
    for (let i = 0; i < packet.length; i++) received.push(...bob.decrypt(packet.subarray(i, i + 1)));
    expect(received).toEqual([longest]);
  });

  test('rotates both directions on their own', () => {
    const { alice, bob } = pair();
    for (let i = 0; i < 1_203; i++) {
      const message = Uint8Array.of(i & 0xff, i >> 8);
      expect(bob.decrypt(alice.encrypt(message))).toEqual([message]);
      if (i % 3 === 0) expect(alice.decrypt(bob.encrypt(message))).toEqual([message]);
    }
  });

  test('reads thousands of small messages from one chunk', () => {
    const { alice, bob } = pair();
    const messages = Array.from({ length: 2_100 }, (_, i) => Uint8Array.of(i & 0xff, i >> 8));
    expect(bob.decrypt(alice.encrypt(...messages))).toEqual(messages);
  });

  test('any altered byte ends the session for good', () => {
    const message = Uint8Array.of(1, 2, 3, 4);
    const packet = pair().alice.encrypt(message);
    for (let position = 0; position < packet.length; position++) {
      const { bob } = pair();
      const altered = Uint8Array.from(packet);
      altered[position] = (altered[position] as number) ^ 0x80;
      expect(() => bob.decrypt(altered)).toThrow(
        failsWith(position < 18 ? 'length_bad_tag' : 'message_bad_tag'),
      );
      expect(() => bob.decrypt(packet)).toThrow(failsWith('session_failed'));
    }
  });

  test('a replayed, dropped or reordered packet is refused', () => {
    const { alice } = pair();
    const first = alice.encrypt(Uint8Array.of(1));
    const second = alice.encrypt(Uint8Array.of(2));
    for (const stream of [concatBytes(first, first), second, concatBytes(second, first)]) {
      expect(() => pair().bob.decrypt(stream)).toThrow(NoiseError);
    }
  });

  test('does not keep a view of the chunk that it was given', () => {
    const { alice, bob } = pair();
    const chunk = alice.encrypt(Uint8Array.of(5, 6, 7));
    const head = chunk.slice(0, 30);
    const tail = chunk.slice(30);
    expect(bob.decrypt(head)).toEqual([]);
    head.fill(0xff);
    expect(bob.decrypt(tail)).toEqual([Uint8Array.of(5, 6, 7)]);
  });
});
