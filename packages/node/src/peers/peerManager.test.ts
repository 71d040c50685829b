import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { createInitiator, type TransportCipher } from '@rivulet/core/noise';
import {
  createFeatures,
  decodeMessage,
  encodeFeatureBits,
  encodeMessage,
  type Message,
  type UnknownMessage,
} from '@rivulet/core/wire';
import { afterEach, describe, expect, test } from 'vitest';
import type { PeerAddress, PeerError, PeerInfo } from './index.js';
import type { PeerLimits } from './peerLimits.js';
import { PeerManager } from './peerManager.js';
import { ManualScheduler } from './testing/manualScheduler.js';

const chainHash = new Uint8Array(32).fill(7);
const features = createFeatures({
  compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret'],
  optional: ['dataLossProtect', 'anchors'],
});
const localhost = { host: '127.0.0.1', port: 0 };

const opened: { close(): unknown }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

function key(label: string): Uint8Array {
  return sha256(new TextEncoder().encode(label));
}

function publicKeyHex(label: string): string {
  return bytesToHex(secp256k1.publicKey(key(label)));
}

function createManager(
  label: string,
  options: { limits?: Partial<PeerLimits>; chainHash?: Uint8Array } = {},
) {
  const scheduler = new ManualScheduler();
  const manager = new PeerManager({
    nodePrivateKey: key(label),
    chainHash: options.chainHash ?? chainHash,
    features,
    scheduler,
    random: () => 0.5,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  opened.push(manager);
  return { manager, scheduler };
}

function next<E extends 'connected' | 'messages' | 'disconnected'>(manager: PeerManager, event: E) {
  type Payload = E extends 'connected'
    ? PeerInfo
    : E extends 'messages'
      ? { nodeId: string; messages: readonly Message[] }
      : { nodeId: string; reason: PeerError };
  return new Promise<Payload>((resolve) => {
    manager.once(event, ((payload: Payload) => resolve(payload)) as never);
  });
}

/** A peer that speaks BOLT 8 but otherwise does as the test says. */
class RawPeer {
  readonly socket: Socket;
  readonly received: (Message | UnknownMessage)[] = [];
  readonly ended: Promise<void>;
  #cipher: TransportCipher | undefined;
  #waiting: (() => void)[] = [];
  #over = false;

  private constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true);
    opened.push({ close: () => socket.destroy() });
    socket.on('error', () => {});
    this.ended = new Promise((resolve) =>
      socket.once('close', () => {
        this.#over = true;
        this.#wake();
        resolve();
      }),
    );
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  static async tcp(port: number): Promise<RawPeer> {
    const socket = tcpConnect(port, '127.0.0.1');
    const peer = new RawPeer(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    return peer;
  }

  static async noise(given: { port: number; label: string; remote: string }): Promise<RawPeer> {
    const peer = await RawPeer.tcp(given.port);
    const handshake = createInitiator({
      staticPrivateKey: key(given.label),
      ephemeralPrivateKey: key(`ephemeral ${given.label}`),
      remotePublicKey: hexToBytes(given.remote),
    });
    await new Promise<void>((resolve, reject) => {
      peer.socket.once('close', () => reject(new Error('closed in the handshake')));
      peer.socket.on('data', (chunk: Uint8Array) => {
        let rest = chunk;
        if (peer.#cipher === undefined) {
          const step = handshake.receive(chunk);
          peer.socket.write(step.send);
          if (step.session === undefined) return;
          peer.#cipher = step.session.cipher;
          rest = step.rest;
          resolve();
        }
        peer.received.push(...peer.#cipher.decrypt(rest).map(decodeMessage));
        peer.#wake();
      });
      peer.socket.write(handshake.start());
    });
    return peer;
  }

  sendBytes(...messages: Uint8Array[]): void {
    this.socket.write((this.#cipher as TransportCipher).encrypt(...messages));
  }

  send(...messages: (Message | UnknownMessage)[]): void {
    this.sendBytes(...messages.map(encodeMessage));
  }

  sendInit(change: { features?: Uint8Array; networks?: readonly Uint8Array[] } = {}): void {
    const networks = [chainHash];
    this.send({ type: 'init', globalfeatures: new Uint8Array(), features, networks, ...change });
  }

  /** The first message that fits, once it has come; `undefined` if the connection ends before. */
  async find(matches: (message: Message | UnknownMessage) => boolean) {
    for (;;) {
      const found = this.received.find(matches);
      if (found !== undefined || this.#over) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async warning(): Promise<string> {
    const found = await this.find((message) => message.type === 'warning');
    return found?.type === 'warning' ? new TextDecoder().decode(found.data) : '';
  }
}

async function listening(label: string, options: Parameters<typeof createManager>[1] = {}) {
  const created = createManager(label, options);
  const { port } = await created.manager.listen(localhost);
  return { ...created, port, target: { nodeId: created.manager.nodeId, host: '127.0.0.1', port } };
}

async function readyRawPeer(
  node: { port: number; manager: PeerManager },
  label = 'raw',
): Promise<{ peer: RawPeer; nodeId: string }> {
  const connected = next(node.manager, 'connected');
  const peer = await RawPeer.noise({ port: node.port, label, remote: node.manager.nodeId });
  peer.sendInit();
  await connected;
  return { peer, nodeId: publicKeyHex(label) };
}

const shutdownMessage = (byte: number): Message => ({
  type: 'shutdown',
  channelId: new Uint8Array(32).fill(byte),
  scriptpubkey: new Uint8Array(22),
});

describe('two managers over loopback', () => {
  test('exchange init and messages, and tell of the end', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    const seenByBob = next(bob.manager, 'connected');
    const peer = await alice.connect(bob.target);
    expect(peer).toMatchObject({ nodeId: bob.manager.nodeId, inbound: false });
    expect(peer.remoteInit.networks).toEqual([chainHash]);
    const seen = await seenByBob;
    expect(seen).toMatchObject({ nodeId: alice.nodeId, inbound: true });
    // Loopback is no public address: BOLT 1 does not want it told.
    expect(peer.remoteInit.remoteAddr).toBeUndefined();

    const received = next(bob.manager, 'messages');
    expect(alice.send(bob.manager.nodeId, [shutdownMessage(1), shutdownMessage(2)])).toBe(true);
    expect(await received).toEqual({
      nodeId: alice.nodeId,
      messages: [shutdownMessage(1), shutdownMessage(2)],
    });

    const ended = next(alice, 'disconnected');
    expect(bob.manager.disconnect(alice.nodeId)).toBe(true);
    expect((await ended).reason.code).toBe('closed_by_peer');
    expect(alice.send(bob.manager.nodeId, [shutdownMessage(1)])).toBe(false);
    expect(bob.manager.peers).toEqual([]);
  });

  test('everything that is sent in one turn arrives as one batch', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    await alice.connect(bob.target);
    const received = next(bob.manager, 'messages');
    for (let i = 0; i < 5; i++) alice.send(bob.manager.nodeId, [shutdownMessage(i)]);
    await Promise.resolve();
    alice.send(bob.manager.nodeId, [shutdownMessage(5)]);
    expect((await received).messages).toEqual([0, 1, 2, 3, 4, 5].map(shutdownMessage));
  });

  test('keep one connection when both dial at the same time, the same one on both sides', async () => {
    const alice = await listening('alice');
    const bob = await listening('bob');
    const [fromAlice, fromBob] = await Promise.all([
      alice.manager.connect(bob.target),
      bob.manager.connect(alice.target),
    ]);
    expect(fromAlice.nodeId).toBe(bob.manager.nodeId);
    expect(fromBob.nodeId).toBe(alice.manager.nodeId);
    const received = next(bob.manager, 'messages');
    // Whichever connection loses, the messages of a turn after it arrive on the one that is kept.
    while (alice.manager.getPeer(bob.manager.nodeId) === undefined) await next(alice.manager, 'connected');
    const lower = alice.manager.nodeId < bob.manager.nodeId ? alice : bob;
    const higher = lower === alice ? bob : alice;
    const settled = () =>
      lower.manager.peers[0]?.inbound === false && higher.manager.peers[0]?.inbound === true;
    while (!settled()) await new Promise((resolve) => setImmediate(resolve));
    alice.manager.send(bob.manager.nodeId, [shutdownMessage(9)]);
    expect((await received).messages).toEqual([shutdownMessage(9)]);
  });

  test('a second dial of the same node joins the first', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    const [first, second] = await Promise.all([alice.connect(bob.target), alice.connect(bob.target)]);
    expect(second).toBe(first);
    expect(await alice.connect(bob.target)).toBe(first);
  });

  test('close waits until every connection is gone', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    await alice.connect(bob.target);
    const ended = next(alice, 'disconnected');
    await bob.manager.close();
    expect((await ended).reason.code).toBe('closed_by_peer');
    await expect(bob.manager.connect(bob.target)).rejects.toMatchObject({ code: 'manager_closed' });
    await expect(alice.connect(bob.target)).rejects.toMatchObject({ code: 'connection_refused' });
  });
});

describe('failures to connect or listen', () => {
  test('a port in use says what to do', async () => {
    const bob = await listening('bob');
    const { manager } = createManager('alice');
    const listen = manager.listen({ host: '127.0.0.1', port: bob.port });
    await expect(listen).rejects.toMatchObject({ code: 'address_in_use' });
    await expect(listen).rejects.toThrow(/choose another port/);
  });

  test('the key of another node, a foreign chain, ourselves and nonsense are told apart', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    const wrongKey = alice.connect({ ...bob.target, nodeId: publicKeyHex('carol') });
    await expect(wrongKey).rejects.toMatchObject({ code: 'wrong_node_key' });
    await expect(alice.connect({ ...bob.target, nodeId: alice.nodeId })).rejects.toMatchObject({
      code: 'self_connect',
    });
    await expect(alice.connect({ ...bob.target, nodeId: `02${'ff'.repeat(32)}` })).rejects.toMatchObject({
      code: 'node_id_invalid',
    });
    const { manager: foreigner } = createManager('foreigner', { chainHash: new Uint8Array(32).fill(8) });
    await expect(foreigner.connect(bob.target)).rejects.toMatchObject({ code: 'chain_incompatible' });
  });

  test('a host that accepts and says nothing times out', async () => {
    let onActOne = () => {};
    const actOne = new Promise<void>((resolve) => {
      onActOne = resolve;
    });
    const mute = createServer((socket) => {
      opened.push({ close: () => socket.destroy() });
      socket.once('data', onActOne);
    });
    opened.push(mute);
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { manager: alice, scheduler } = createManager('alice');
    const port = (mute.address() as { port: number }).port;
    const dialing = alice.connect({ nodeId: publicKeyHex('bob'), host: '127.0.0.1', port });
    const failed = expect(dialing).rejects.toMatchObject({ code: 'handshake_timeout' });
    await actOne;
    scheduler.advance(15_000);
    await failed;
  });
});

describe('hostile peers', () => {
  test('bytes that are no handshake end the connection in silence', async () => {
    const bob = await listening('bob');
    const raw = await RawPeer.tcp(bob.port);
    let answered = 0;
    raw.socket.on('data', (chunk) => {
      answered += chunk.length;
    });
    raw.socket.write(new Uint8Array(5000).fill(0x47));
    await raw.ended;
    expect(answered).toBe(0);
  });

  test('half a handshake is dropped when its time is up', async () => {
    const bob = await listening('bob');
    const raw = await RawPeer.tcp(bob.port);
    const handshake = createInitiator({
      staticPrivateKey: key('raw'),
      ephemeralPrivateKey: key('ephemeral'),
      remotePublicKey: hexToBytes(bob.manager.nodeId),
    });
    const answered = new Promise((resolve) => raw.socket.once('data', resolve));
    raw.socket.write(handshake.start());
    await answered;
    bob.scheduler.advance(14_999);
    expect(raw.socket.destroyed).toBe(false);
    bob.scheduler.advance(1);
    await raw.ended;
  });

  test('a handshake without init is dropped when its time is up', async () => {
    const bob = await listening('bob');
    const peer = await RawPeer.noise({ port: bob.port, label: 'raw', remote: bob.manager.nodeId });
    await peer.find((message) => message.type === 'init');
    bob.scheduler.advance(15_000);
    await peer.ended;
    expect(bob.manager.peers).toEqual([]);
  });

  test('a first message that is not init ends the connection with a warning', async () => {
    const bob = await listening('bob');
    const peer = await RawPeer.noise({ port: bob.port, label: 'raw', remote: bob.manager.nodeId });
    peer.send(shutdownMessage(1));
    expect(await peer.warning()).toMatch(/not init/);
    await peer.ended;
  });

  test.each([
    ['an unknown even bit', encodeFeatureBits([8, 12, 14, 200]), /200/],
    ['a missing dependency', encodeFeatureBits([8, 12, 14, 61]), /shutdownAnysegwit/],
    ['half a million bits', new Uint8Array(60_000).fill(0xff), /features that we lack/],
  ])('init with %s is refused', async (_, hostile, says) => {
    const bob = await listening('bob');
    const peer = await RawPeer.noise({ port: bob.port, label: 'raw', remote: bob.manager.nodeId });
    peer.sendInit({ features: hostile });
    expect(await peer.warning()).toMatch(says);
    await peer.ended;
    expect(bob.manager.peers).toEqual([]);
  });

  test('unknown odd bits and messages are ignored, a second init is not', async () => {
    const bob = await listening('bob');
    const peer = await RawPeer.noise({ port: bob.port, label: 'raw', remote: bob.manager.nodeId });
    const received = next(bob.manager, 'messages');
    peer.sendInit({ features: encodeFeatureBits([8, 12, 14, 201]) });
    peer.send({ type: 'unknown', typeNumber: 40_001, payload: new Uint8Array(9) }, shutdownMessage(3));
    expect((await received).messages).toEqual([shutdownMessage(3)]);
    const ended = next(bob.manager, 'disconnected');
    peer.sendInit();
    expect((await ended).reason.code).toBe('init_invalid');
  });

  test('an unknown even message and a truncated one end it, after what came before', async () => {
    for (const [bytes, code] of [
      [encodeMessage({ type: 'unknown', typeNumber: 40_000, payload: new Uint8Array() }), 'message_unknown'],
      [Uint8Array.of(0, 38, 1, 2, 3), 'message_invalid'],
      [Uint8Array.of(7), 'message_invalid'],
    ] as const) {
      const bob = await listening('bob');
      const { peer } = await readyRawPeer(bob);
      const received = next(bob.manager, 'messages');
      const ended = next(bob.manager, 'disconnected');
      peer.sendBytes(encodeMessage(shutdownMessage(4)), bytes, encodeMessage(shutdownMessage(5)));
      expect((await received).messages).toEqual([shutdownMessage(4)]);
      expect((await ended).reason.code).toBe(code);
      expect(await peer.warning()).not.toBe('');
      await peer.ended;
    }
  });

  test('bytes that are not authentic end an established connection', async () => {
    const bob = await listening('bob');
    const { peer } = await readyRawPeer(bob);
    const ended = next(bob.manager, 'disconnected');
    peer.socket.write(new Uint8Array(100));
    expect((await ended).reason.code).toBe('transport_broken');
    await peer.ended;
  });

  test('threat 20: a peer that does not read is disconnected at the limit of its buffer', async () => {
    const bob = await listening('bob', { limits: { maxOutboundBytes: 1_000_000 } });
    const { peer, nodeId } = await readyRawPeer(bob);
    peer.socket.pause();
    const ended = next(bob.manager, 'disconnected');
    let most = 0;
    const large: Message = { ...shutdownMessage(1), scriptpubkey: new Uint8Array(60_000) } as Message;
    while (bob.manager.send(nodeId, [large])) {
      most = Math.max(most, bob.manager.outboundBytes(nodeId));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await ended).reason.code).toBe('slow_reader');
    expect(most).toBeLessThanOrEqual(1_000_000);
  });

  test('a flood of pings is answered up to its budget', async () => {
    const bob = await listening('bob', { limits: { idleMessages: { capacity: 10, perSecond: 1 } } });
    const { peer } = await readyRawPeer(bob);
    const ended = next(bob.manager, 'disconnected');
    const flood = Array.from(
      { length: 11 },
      (): Message => ({
        type: 'ping',
        numPongBytes: 5,
        ignored: new Uint8Array(),
      }),
    );
    peer.send(...flood);
    expect((await ended).reason.code).toBe('flood');
    await peer.ended;
    expect(peer.received.filter((message) => message.type === 'pong')).toHaveLength(10);
  });
});

test('threat 19: who held back from a slow reader is told when it has read', async () => {
  const bob = await listening('bob');
  const { peer, nodeId } = await readyRawPeer(bob);
  const padding = new Uint8Array(60_000);
  peer.socket.pause();
  const drained: string[] = [];
  bob.manager.on('drained', (event) => drained.push(event.nodeId));
  const waiting = () => bob.manager.outboundBytes(nodeId);
  while (waiting() < 1_000_000) {
    bob.manager.send(nodeId, [{ type: 'unknown', typeNumber: 40_001, payload: padding }]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(drained).toEqual([]);
  const told = new Promise((resolve) => bob.manager.once('drained', resolve));
  peer.socket.resume();
  expect(await told).toEqual({ nodeId });
  expect(waiting()).toBe(0);
});

describe('ping and pong', () => {
  test('a pong has the length that was asked for, and 65532 asks for none', async () => {
    const bob = await listening('bob');
    const { peer } = await readyRawPeer(bob);
    const ping = (numPongBytes: number): Message => ({
      type: 'ping',
      numPongBytes,
      ignored: new Uint8Array(3),
    });
    peer.send(ping(65_532), ping(65_535), ping(0), ping(65_531));
    await peer.find((message) => message.type === 'pong' && message.ignored.length === 65_531);
    const lengths = peer.received.flatMap((message) =>
      message.type === 'pong' ? [message.ignored.length] : [],
    );
    expect(lengths).toEqual([0, 65_531]);
    expect(bob.manager.peers).toHaveLength(1);
  });

  test('a silent peer is pinged and then disconnected; one that answers stays', async () => {
    const bob = await listening('bob');
    const { manager: alice } = createManager('alice');
    await alice.connect(bob.target);
    const { peer } = await readyRawPeer(bob);
    const isPing = (message: Message | UnknownMessage) => message.type === 'ping';
    bob.scheduler.advance(30_000);
    await peer.find(isPing);
    // Alice's answer to a message that was sent after the ping comes after her pong.
    const asked = next(alice, 'messages');
    bob.manager.send(alice.nodeId, [shutdownMessage(1)]);
    await asked;
    const answered = next(bob.manager, 'messages');
    alice.send(bob.manager.nodeId, [shutdownMessage(2)]);
    await answered;
    const ended = next(bob.manager, 'disconnected');
    bob.scheduler.advance(20_000);
    expect(await ended).toMatchObject({ nodeId: publicKeyHex('raw'), reason: { code: 'peer_silent' } });
    expect(bob.manager.peers.map(({ nodeId }) => nodeId)).toEqual([alice.nodeId]);
  });

  test('a peer that we do not read from is not blamed for its silence', async () => {
    const bob = await listening('bob');
    const { nodeId } = await readyRawPeer(bob);
    bob.manager.pause(nodeId);
    bob.scheduler.advance(120_000);
    expect(bob.manager.peers).toHaveLength(1);
    bob.manager.resume(nodeId);
    const ended = next(bob.manager, 'disconnected');
    bob.scheduler.advance(120_000);
    expect((await ended).reason.code).toBe('peer_silent');
  });
});

describe('limits on inbound connections', () => {
  test('threat 20: one address may hold only so many connections, peers with channels aside', async () => {
    const bob = await listening('bob', { limits: { maxInboundPerAddress: 2 } });
    await readyRawPeer(bob, 'one');
    await readyRawPeer(bob, 'two');
    const third = await RawPeer.noise({ port: bob.port, label: 'three', remote: bob.manager.nodeId });
    expect(await third.warning()).toMatch(/too many/);
    await third.ended;
    bob.manager.keepConnected(publicKeyHex('four'));
    await readyRawPeer(bob, 'four');
    const gone = next(bob.manager, 'disconnected');
    bob.manager.disconnect(publicKeyHex('one'));
    await gone;
    // Its place is free once its socket is gone, a little later.
    for (let inside = false; !inside; ) {
      const connected = next(bob.manager, 'connected').then(() => true);
      const again = await RawPeer.noise({ port: bob.port, label: 'three', remote: bob.manager.nodeId });
      again.sendInit();
      inside = await Promise.race([connected, again.ended.then(() => false)]);
    }
    expect(bob.manager.getPeer(publicKeyHex('three'))).toBeDefined();
  });

  test('one more pending handshake ends the one that waits longest', async () => {
    const bob = await listening('bob', { limits: { maxPendingHandshakes: 2 } });
    const first = await RawPeer.tcp(bob.port);
    const second = await RawPeer.tcp(bob.port);
    await readyRawPeer(bob);
    await first.ended;
    expect(second.socket.destroyed).toBe(false);
  });

  test('an address that connects too often is turned away until its budget refills', async () => {
    const bob = await listening('bob', { limits: { inboundRate: { capacity: 2, perSecond: 1 } } });
    await RawPeer.tcp(bob.port);
    await RawPeer.tcp(bob.port);
    const third = await RawPeer.tcp(bob.port);
    await third.ended;
    bob.scheduler.advance(1_000);
    await readyRawPeer(bob);
  });
});

describe('peers that are kept', () => {
  test('are dialed again with growing delays until they answer', async () => {
    const bob = await listening('bob');
    const target: PeerAddress = { host: '127.0.0.1', port: bob.port };
    const { manager: alice, scheduler } = createManager('alice');
    const first = next(alice, 'connected');
    alice.keepConnected(bob.manager.nodeId, target);
    // With half of the jitter: 750 ms of the first second.
    scheduler.advance(749);
    expect(scheduler.pending).toBe(1);
    scheduler.advance(1);
    await first;
    const ended = next(alice, 'disconnected');
    await bob.manager.close();
    await ended;
    // The connection held for no time at all: this counts as a failure, so the delay has doubled.
    scheduler.advance(1_499);
    expect(alice.peers).toEqual([]);
    const again = createManager('bob').manager;
    await again.listen(target);
    const second = next(alice, 'connected');
    scheduler.advance(1);
    expect((await second).nodeId).toBe(bob.manager.nodeId);
  });

  test('stay away after a person disconnected them, and come back after a connection', async () => {
    const bob = await listening('bob');
    const { manager: alice, scheduler } = createManager('alice');
    alice.keepConnected(bob.manager.nodeId, bob.target);
    await alice.connect(bob.target);
    alice.disconnect(bob.manager.nodeId);
    expect(alice.peers).toEqual([]);
    scheduler.advance(10_000_000);
    expect(scheduler.pending).toBe(0);
    await alice.connect(bob.target);
    expect(alice.peers).toHaveLength(1);
  });
});

test('a listener that throws costs its peer the connection only', async () => {
  const bob = await listening('bob');
  const { peer } = await readyRawPeer(bob);
  bob.manager.once('messages', () => {
    throw new Error('a bug');
  });
  const ended = next(bob.manager, 'disconnected');
  peer.send(shutdownMessage(1));
  expect((await ended).reason.code).toBe('listener_failed');
  await readyRawPeer(bob, 'another');
});
