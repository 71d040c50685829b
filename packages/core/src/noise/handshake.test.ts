import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../bytes/bytes.js';
import { secp256k1 } from '../crypto/index.js';
import { createInitiator, createResponder, type Handshake, type NoiseSession } from './handshake.js';
import { NoiseError, type NoiseErrorCode } from './noiseError.js';

const key = (byte: number) => new Uint8Array(32).fill(byte);
const initiatorKey = secp256k1.publicKey(key(0x11));
const responderKey = secp256k1.publicKey(key(0x21));

function pair(): { initiator: Handshake; responder: Handshake } {
  return {
    initiator: createInitiator({
      staticPrivateKey: key(0x11),
      ephemeralPrivateKey: key(0x12),
      remotePublicKey: responderKey,
    }),
    responder: createResponder({ staticPrivateKey: key(0x21), ephemeralPrivateKey: key(0x22) }),
  };
}

function codeOf(run: () => unknown): NoiseErrorCode {
  try {
    run();
  } catch (error) {
    if (error instanceof NoiseError) return error.code;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Feeds `bytes` in pieces of the given sizes, cyclically. */
function feed(handshake: Handshake, bytes: Uint8Array, sizes: readonly number[]) {
  const send: Uint8Array[] = [];
  let session: NoiseSession | undefined;
  let offset = 0;
  let turn = 0;
  while (offset < bytes.length) {
    const size = sizes[turn++ % sizes.length] as number;
    const step = handshake.receive(bytes.subarray(offset, offset + size));
    offset += size;
    send.push(step.send);
    session ??= step.session;
  }
  return { send: concatBytes(...send), session };
}

describe('the handshake', () => {
  test('connects both sides whatever the chunks are', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 5 }), (sizes) => {
        const { initiator, responder } = pair();
        const actOne = initiator.start();
        expect(responder.start().length).toBe(0);
        const actTwo = feed(responder, actOne, sizes).send;
        const actThree = feed(initiator, actTwo, sizes);
        const end = feed(responder, actThree.send, sizes);
        expect(actThree.session?.remotePublicKey).toEqual(responderKey);
        expect(end.session?.remotePublicKey).toEqual(initiatorKey);
        const message = Uint8Array.of(0, 16, 1, 2);
        expect(end.session?.cipher.decrypt(actThree.session!.cipher.encrypt(message))).toEqual([message]);
        expect(actThree.session?.cipher.decrypt(end.session!.cipher.encrypt(message))).toEqual([message]);
      }),
      { numRuns: 25 },
    );
  });

  test('hands back the bytes that follow its last act in the same chunk', () => {
    const { initiator, responder } = pair();
    responder.start();
    const actTwo = responder.receive(initiator.start()).send;
    const actThree = initiator.receive(actTwo);
    const packet = actThree.session!.cipher.encrypt(Uint8Array.of(9));
    const end = responder.receive(concatBytes(actThree.send, packet));
    expect(end.session!.cipher.decrypt(end.rest)).toEqual([Uint8Array.of(9)]);
  });

  test('any altered byte of any act is refused, and the handshake is dead after it', () => {
    const { initiator, responder } = pair();
    responder.start();
    const actOne = initiator.start();
    const actTwo = responder.receive(actOne).send;
    const actThree = initiator.receive(actTwo).send;
    const altered = (bytes: Uint8Array, position: number) => {
      const copy = Uint8Array.from(bytes);
      copy[position] = (copy[position] as number) ^ 1;
      return copy;
    };
    const dead = (handshake: Handshake, input: Uint8Array) => {
      expect(() => handshake.receive(input)).toThrow(NoiseError);
      expect(codeOf(() => handshake.receive(input))).toBe('handshake_out_of_order');
      expect(codeOf(() => handshake.end())).toBe('handshake_out_of_order');
    };
    for (let position = 0; position < 66; position++) {
      if (position < 50) {
        const one = pair().responder;
        one.start();
        dead(one, altered(actOne, position));
        const two = pair().initiator;
        two.start();
        dead(two, altered(actTwo, position));
      }
      const three = pair().responder;
      three.start();
      three.receive(actOne);
      dead(three, altered(actThree, position));
    }
  });

  test('a connection that ends inside an act names the act', () => {
    const { initiator, responder } = pair();
    responder.start();
    const actOne = initiator.start();
    responder.receive(actOne.subarray(0, 49));
    expect(codeOf(() => responder.end())).toBe('act1_read_failed');
    expect(codeOf(() => initiator.end())).toBe('act2_read_failed');
  });

  test('refuses to be used out of order', () => {
    const { initiator, responder } = pair();
    expect(codeOf(() => initiator.receive(new Uint8Array(50)))).toBe('handshake_out_of_order');
    initiator.start();
    expect(codeOf(() => initiator.start())).toBe('handshake_out_of_order');
    expect(codeOf(() => responder.receive(new Uint8Array(50)))).toBe('handshake_out_of_order');
  });

  test('an initiator who expects another node is refused at act one', () => {
    const wrong = createInitiator({
      staticPrivateKey: key(0x11),
      ephemeralPrivateKey: key(0x12),
      remotePublicKey: secp256k1.publicKey(key(0x31)),
    });
    const { responder } = pair();
    responder.start();
    expect(codeOf(() => responder.receive(wrong.start()))).toBe('act1_bad_tag');
  });

  test('refuses invalid keys of its own', () => {
    const invalid = { name: 'CryptoError', code: 'private_key_invalid' };
    expect(() => createResponder({ staticPrivateKey: key(0), ephemeralPrivateKey: key(1) })).toThrow(
      expect.objectContaining(invalid),
    );
    const remotePublicKey = new Uint8Array(33);
    expect(() =>
      createInitiator({ staticPrivateKey: key(1), ephemeralPrivateKey: key(1), remotePublicKey }),
    ).toThrow(expect.objectContaining({ code: 'public_key_invalid' }));
  });
});
