import assert from 'node:assert/strict';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  createInitiator,
  createResponder,
  type Handshake,
  NoiseError,
  type NoiseSession,
  TransportCipher,
} from '@rivulet/core/noise';
import { readFixture, type VectorCase } from './vectorCase.js';

type Step =
  | { readonly input: string }
  | { readonly output: string }
  | { readonly error: string }
  | { readonly keys: { readonly sk: string; readonly rk: string } };

interface HandshakeVector {
  readonly name: string;
  readonly staticPrivateKey: string;
  readonly staticPublicKey: string;
  readonly ephemeralPrivateKey: string;
  readonly ephemeralPublicKey: string;
  readonly remotePublicKey?: string;
  readonly steps: readonly Step[];
}

interface MessageVectors {
  readonly chainingKey: string;
  readonly sendKey: string;
  readonly receiveKey: string;
  readonly message: string;
  /** By the message's position in the stream. */
  readonly packets: Readonly<Record<string, string>>;
}

interface TransportVectors {
  readonly initiator: readonly HandshakeVector[];
  readonly responder: readonly HandshakeVector[];
  readonly messages: MessageVectors;
}

/** BOLT 8, appendix A. */
export function bolt08Cases(): VectorCase[] {
  const vectors = JSON.parse(readFixture('bolt08-transport.json')) as TransportVectors;
  const { messages } = vectors;
  const handshakes = [...vectors.initiator, ...vectors.responder].map((vector) => ({
    name: `BOLT 8 appendix A: ${vector.name}`,
    run: () => runHandshake(vector, messages),
  }));
  const packets = Object.keys(messages.packets).map((position) => ({
    name: `BOLT 8 appendix A: message ${position}`,
    run: () => runMessage(messages, Number(position)),
  }));
  return [...handshakes, ...packets];
}

function start(vector: HandshakeVector): Handshake {
  const staticPrivateKey = hexToBytes(vector.staticPrivateKey);
  const ephemeralPrivateKey = hexToBytes(vector.ephemeralPrivateKey);
  assert.equal(bytesToHex(secp256k1.publicKey(staticPrivateKey)), vector.staticPublicKey);
  assert.equal(bytesToHex(secp256k1.publicKey(ephemeralPrivateKey)), vector.ephemeralPublicKey);
  if (vector.remotePublicKey === undefined) return createResponder({ staticPrivateKey, ephemeralPrivateKey });
  const remotePublicKey = hexToBytes(vector.remotePublicKey);
  return createInitiator({ staticPrivateKey, ephemeralPrivateKey, remotePublicKey });
}

function runHandshake(vector: HandshakeVector, messages: MessageVectors): void {
  const handshake = start(vector);
  let sent = bytesToHex(handshake.start());
  let session: NoiseSession | undefined;
  let input: Uint8Array | undefined;
  const receive = () => {
    if (input === undefined) return;
    const step = handshake.receive(input);
    input = undefined;
    sent += bytesToHex(step.send);
    session = step.session;
    assert.equal(step.rest.length, 0);
  };
  for (const step of vector.steps) {
    if ('input' in step) {
      receive();
      input = hexToBytes(step.input);
    } else if ('output' in step) {
      receive();
      assert.equal(sent, step.output);
      sent = '';
    } else if ('error' in step) {
      assert.throws(
        () => {
          receive();
          // A short act is one that the connection's end cuts off.
          handshake.end();
        },
        (error) => error instanceof NoiseError && error.code === step.error.toLowerCase(),
      );
      assert.equal(session, undefined);
      assert.equal(sent, '', 'nothing is sent after an error');
    } else {
      receive();
      assert.ok(session !== undefined);
      checkKeys(session.cipher, step.keys, messages.chainingKey);
    }
  }
}

/** A session's keys are not to be had: what they encrypt and decrypt must be that of the expected keys. */
function checkKeys(cipher: TransportCipher, keys: { sk: string; rk: string }, chainingKey: string): void {
  const peer = new TransportCipher({
    chainingKey: hexToBytes(chainingKey),
    sendKey: hexToBytes(keys.rk),
    receiveKey: hexToBytes(keys.sk),
  });
  // Past the first rotation, so that the chaining key counts too.
  for (let i = 0; i <= 501; i++) {
    const message = Uint8Array.of(i & 0xff, i >> 8);
    assert.deepEqual(peer.decrypt(cipher.encrypt(message)), [message]);
    assert.deepEqual(cipher.decrypt(peer.encrypt(message)), [message]);
  }
}

function runMessage(vectors: MessageVectors, position: number): void {
  const chainingKey = hexToBytes(vectors.chainingKey);
  const sendKey = hexToBytes(vectors.sendKey);
  const receiveKey = hexToBytes(vectors.receiveKey);
  const message = hexToBytes(vectors.message);
  const sender = new TransportCipher({ chainingKey, sendKey, receiveKey });
  const receiver = new TransportCipher({ chainingKey, sendKey: receiveKey, receiveKey: sendKey });
  for (let i = 0; i < position; i++) assert.deepEqual(receiver.decrypt(sender.encrypt(message)), [message]);
  const packet = sender.encrypt(message);
  assert.equal(bytesToHex(packet), vectors.packets[String(position)]);
  assert.deepEqual(receiver.decrypt(packet), [message]);
}
