import { randomBytes as systemRandomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { createInitiator, createResponder, type Handshake } from '@rivulet/core/noise';
import type { FeatureBits, Init, Message, UnknownMessage } from '@rivulet/core/wire';
import { type Logger, peerLogger, silentLogger } from '../logging/logger.js';
import { dial } from './dial.js';
import { type Admission, InboundGate } from './inboundGate.js';
import { formatAddress } from './ipAddress.js';
import { PeerConnection, type ReadyPeer } from './peerConnection.js';
import { PeerError } from './peerError.js';
import { defaultPeerLimits, type PeerLimits } from './peerLimits.js';
import { PeerListener } from './peerListener.js';
import { type PeerAddress, Reconnector } from './reconnector.js';
import { type Scheduler, systemScheduler } from './scheduler.js';

/** A node to connect to. */
export interface PeerTarget extends PeerAddress {
  /** The node's public key: 66 hex digits. */
  readonly nodeId: string;
}

/** A peer that has exchanged `init` with us. */
export interface PeerInfo {
  /** Lower-case hex. */
  readonly nodeId: string;
  readonly inbound: boolean;
  /** The other end of the TCP connection: dialable only if it is not inbound. */
  readonly address: PeerAddress;
  readonly localInit: Init;
  readonly remoteInit: Init;
  /** What both sides have (see negotiateFeatures). */
  readonly features: FeatureBits;
}

export interface PeerEvents {
  connected: [peer: PeerInfo];
  /** All the messages of one read, in order; never empty. Control messages are dealt with before. */
  messages: [from: { readonly nodeId: string; readonly messages: readonly Message[] }];
  /**
   * A peer has read all that waited for it, after more than some ten kilobytes did. Who stops sending to a peer
   * for which more than 64 KiB wait (see outboundBytes) is told here when to go on.
   */
  drained: [peer: { readonly nodeId: string }];
  disconnected: [peer: { readonly nodeId: string; readonly reason: PeerError }];
}

export interface PeerManagerOptions {
  readonly nodePrivateKey: Uint8Array;
  /** The genesis hash of our network, internal byte order. */
  readonly chainHash: Uint8Array;
  readonly features: FeatureBits;
  readonly limits?: Partial<PeerLimits>;
  readonly scheduler?: Scheduler;
  /** Cryptographic randomness, for the handshakes. */
  readonly randomBytes?: (count: number) => Uint8Array;
  /** From 0 to below 1, for the jitter of reconnections. */
  readonly random?: () => number;
  readonly logger?: Logger;
}

interface ActivePeer {
  readonly info: PeerInfo;
  readonly connection: PeerConnection;
  readonly since: number;
}

/** An outgoing or incoming connection from its first byte on. */
interface Attempt {
  readonly socket: Socket;
  readonly address: PeerAddress;
  readonly handshake: Handshake;
  readonly inbound: boolean;
  readonly admission?: Admission;
  readonly onReady?: (peer: PeerInfo) => void;
  readonly onFailed?: (reason: PeerError) => void;
}

/**
 * All the peers of a node. At most one connection for each node id. Events come in order: `connected`,
 * then `messages`, then `disconnected`, before the next `connected` of the same node.
 */
export class PeerManager extends EventEmitter<PeerEvents> {
  readonly nodeId: string;
  readonly #given: PeerManagerOptions;
  readonly #limits: PeerLimits;
  readonly #scheduler: Scheduler;
  readonly #logger: Logger;
  readonly #gate: InboundGate;
  readonly #reconnector: Reconnector;
  readonly #listeners = new Set<PeerListener>();
  readonly #connections = new Set<PeerConnection>();
  readonly #active = new Map<string, ActivePeer>();
  readonly #dialing = new Map<string, Promise<PeerInfo>>();
  #closed = false;
  #allReleased: (() => void) | undefined;

  constructor(options: PeerManagerOptions) {
    super();
    this.#given = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#logger = options.logger ?? silentLogger;
    this.nodeId = bytesToHex(secp256k1.publicKey(options.nodePrivateKey));
    this.#gate = new InboundGate(this.#scheduler, this.#limits);
    this.#reconnector = new Reconnector({
      scheduler: this.#scheduler,
      random: options.random ?? Math.random,
      options: this.#limits.reconnect,
      connect: (target) => this.connect(target),
    });
  }

  /**
   * Listens for peers. Port 0 picks a free one; the result says which.
   * @throws PeerError `address_in_use`, `address_unavailable`.
   */
  async listen(address: PeerAddress): Promise<PeerAddress> {
    this.#requireOpen();
    const listener = new PeerListener((socket) => this.#accept(socket));
    const bound = await listener.listen(address);
    if (this.#closed) await listener.close();
    else this.#listeners.add(listener);
    this.#logger.info({ host: bound.host, port: bound.port }, 'listening for peers');
    return bound;
  }

  /**
   * Connects and exchanges `init`. Resolves at once for a node that is connected already.
   * @throws PeerError that says what to look at.
   */
  async connect(target: PeerTarget): Promise<PeerInfo> {
    this.#requireOpen();
    const nodeId = this.#checkNodeId(target.nodeId);
    const active = this.#active.get(nodeId);
    if (active !== undefined) return active.info;
    const underway = this.#dialing.get(nodeId);
    if (underway !== undefined) return underway;
    const dialing = this.#dial({ ...target, nodeId }).finally(() => this.#dialing.delete(nodeId));
    this.#dialing.set(nodeId, dialing);
    return dialing;
  }

  /**
   * Closes the connection to a node, and leaves it closed until somebody connects again.
   * @returns whether there was one.
   */
  disconnect(nodeId: string): boolean {
    this.#reconnector.suspend(nodeId.toLowerCase());
    return this.#end(nodeId, new PeerError('closed_by_us', 'the disconnection was asked for'));
  }

  /**
   * Ends the connection to a node after sending what waits, for example after an `error` that failed a
   * channel. A persistent peer is dialed again.
   */
  drop(nodeId: string, why: string): boolean {
    return this.#end(nodeId, new PeerError('closed_by_us', why));
  }

  /**
   * A node that we have channels with: it is dialed whenever it is not connected (if an address is known)
   * and its connections pass the limits on strangers.
   */
  keepConnected(nodeId: string, address?: PeerAddress): void {
    const key = this.#checkNodeId(nodeId);
    this.#reconnector.keep(key, { address, connected: this.#active.has(key) });
  }

  /** The opposite of keepConnected; an existing connection stays. */
  release(nodeId: string): void {
    this.#reconnector.forget(nodeId.toLowerCase());
  }

  /**
   * Sends messages, in order; all that one turn of the event loop sends to a peer goes out in one write.
   * @returns `false` where the node is not connected; the messages are dropped then.
   * @throws WireError for a message that cannot be encoded.
   */
  send(nodeId: string, messages: readonly (Message | UnknownMessage)[]): boolean {
    const peer = this.#active.get(nodeId);
    if (peer === undefined) return false;
    peer.connection.send(messages);
    return true;
  }

  /** Stops reading from a peer, until `resume`. What was read already is still delivered. */
  pause(nodeId: string): void {
    this.#active.get(nodeId)?.connection.pause();
  }

  resume(nodeId: string): void {
    this.#active.get(nodeId)?.connection.resume();
  }

  /** Bytes that wait for a peer to read; 0 for one that is not connected. */
  outboundBytes(nodeId: string): number {
    return this.#active.get(nodeId)?.connection.outboundBytes ?? 0;
  }

  getPeer(nodeId: string): PeerInfo | undefined {
    return this.#active.get(nodeId.toLowerCase())?.info;
  }

  get peers(): readonly PeerInfo[] {
    return Array.from(this.#active.values(), ({ info }) => info);
  }

  /** Stops listening and dialing, sends what waits, closes all connections and waits until they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#reconnector.stop();
    const listeners = [...this.#listeners].map((listener) => listener.close());
    this.#listeners.clear();
    const reason = new PeerError('manager_closed', 'this node shuts down');
    for (const connection of [...this.#connections]) connection.close(reason);
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#allReleased = resolve;
      });
    }
    await Promise.all(listeners);
  }

  #requireOpen(): void {
    if (this.#closed) throw new PeerError('manager_closed', 'this node shuts down');
  }

  #checkNodeId(nodeId: string): string {
    if (!/^[0-9a-fA-F]{66}$/.test(nodeId) || !secp256k1.isPublicKey(hexToBytes(nodeId))) {
      throw new PeerError(
        'node_id_invalid',
        'a node id is a public key: 66 hex digits that start with 02 or 03',
      );
    }
    const key = nodeId.toLowerCase();
    if (key === this.nodeId) throw new PeerError('self_connect', 'that is the id of this node itself');
    return key;
  }

  #ephemeralKey(): Uint8Array {
    const randomBytes = this.#given.randomBytes ?? systemRandomBytes;
    for (;;) {
      const key = Uint8Array.from(randomBytes(32));
      if (secp256k1.isPrivateKey(key)) return key;
    }
  }

  async #dial(target: PeerTarget): Promise<PeerInfo> {
    const { nodeId, host, port } = target;
    const where = formatAddress(host, port);
    const timeoutMs = this.#limits.connectTimeoutMs;
    const socket = await dial({ host, port, timeoutMs, scheduler: this.#scheduler });
    if (this.#closed) {
      socket.destroy();
      this.#requireOpen();
    }
    const handshake = createInitiator({
      staticPrivateKey: this.#given.nodePrivateKey,
      ephemeralPrivateKey: this.#ephemeralKey(),
      remotePublicKey: hexToBytes(nodeId),
    });
    return new Promise((onReady, reject) => {
      const onFailed = (reason: PeerError) => {
        // Another connection to the same node may have been faster.
        const active = this.#active.get(nodeId);
        if (active !== undefined) return onReady(active.info);
        if (reason.code !== 'handshake_failed') return reject(reason);
        // BOLT 8: a responder whose key was not meant ends the connection without a word.
        const message = `the node at ${where} is not ${nodeId}, or it is no Lightning node`;
        reject(new PeerError('wrong_node_key', message, { cause: reason }));
      };
      this.#start({ socket, address: { host, port }, handshake, inbound: false, onReady, onFailed });
    });
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    // Gone again before it was looked at.
    if (this.#closed || remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    const opened: { connection?: PeerConnection } = {};
    const admission = this.#gate.admit(remoteAddress, (reason) => opened.connection?.abort(reason));
    if (admission === undefined) {
      this.#logger.debug({ host: remoteAddress }, 'inbound connection over the rate of its address');
      socket.destroy();
      return;
    }
    opened.connection = this.#start({
      socket,
      address: { host: remoteAddress, port: remotePort },
      handshake: createResponder({
        staticPrivateKey: this.#given.nodePrivateKey,
        ephemeralPrivateKey: this.#ephemeralKey(),
      }),
      inbound: true,
      admission,
    });
  }

  #start(attempt: Attempt): PeerConnection {
    const { socket, handshake, inbound, admission } = attempt;
    const { chainHash, features } = this.#given;
    let nodeId: string | undefined;
    const connection: PeerConnection = new PeerConnection({
      socket,
      inbound,
      handshake,
      features,
      chainHash,
      scheduler: this.#scheduler,
      limits: this.#limits,
      onAuthenticated: (remotePublicKey) => {
        nodeId = bytesToHex(remotePublicKey);
        if (nodeId === this.nodeId) return new PeerError('self_connect', 'this node dialed itself');
        return admission?.authenticated(this.#reconnector.has(nodeId));
      },
      onReady: (ready) => {
        admission?.ready();
        this.#ready(attempt, connection, ready);
      },
      onMessages: (messages) => {
        if (nodeId === undefined || this.#active.get(nodeId)?.connection !== connection) return;
        const from = { nodeId, messages };
        this.#tell(connection, () => this.emit('messages', from));
      },
      onDrained: () => {
        if (nodeId === undefined || this.#active.get(nodeId)?.connection !== connection) return;
        const peer = { nodeId };
        this.#tell(connection, () => this.emit('drained', peer));
      },
      onClosed: (reason) => {
        this.#logger.debug({ host: attempt.address.host, inbound, code: reason.code }, reason.message);
        if (nodeId !== undefined && this.#active.get(nodeId)?.connection === connection) {
          this.#remove(nodeId, reason);
          this.#reconnector.disconnected(nodeId);
        }
        attempt.onFailed?.(reason);
      },
      onReleased: () => {
        admission?.released();
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#allReleased?.();
      },
    });
    this.#connections.add(connection);
    return connection;
  }

  #ready(attempt: Attempt, connection: PeerConnection, ready: ReadyPeer): void {
    const { remotePublicKey, localInit, remoteInit, features } = ready;
    const nodeId = bytesToHex(remotePublicKey);
    const existing = this.#active.get(nodeId);
    if (existing !== undefined) {
      const reason = new PeerError('replaced', 'another connection to the same node took its place');
      if (!this.#replaces(existing, attempt.inbound)) {
        connection.close(reason);
        return;
      }
      this.#remove(nodeId, reason);
      existing.connection.close(reason);
    }
    const { inbound, address } = attempt;
    const info: PeerInfo = { nodeId, inbound, address, localInit, remoteInit, features };
    this.#active.set(nodeId, { info, connection, since: this.#scheduler.now() });
    this.#reconnector.connected(nodeId);
    peerLogger(this.#logger, nodeId).info({ inbound, host: address.host, port: address.port }, 'connected');
    this.#tell(connection, () => this.emit('connected', info));
    attempt.onReady?.(info);
  }

  /**
   * Whether a new connection takes an existing one's place. Normally yes: who dials again has lost the old
   * one. But when both nodes dial at the same time, both must keep the same connection: the one that the
   * node with the lower id dialed.
   */
  #replaces(existing: ActivePeer, inbound: boolean): boolean {
    if (existing.info.inbound === inbound) return true;
    if (this.#scheduler.now() - existing.since >= this.#limits.simultaneousWindowMs) return true;
    const weAreLower = this.nodeId < existing.info.nodeId;
    return inbound !== weAreLower;
  }

  #end(nodeId: string, reason: PeerError): boolean {
    const peer = this.#active.get(nodeId.toLowerCase());
    peer?.connection.close(reason);
    return peer !== undefined;
  }

  #remove(nodeId: string, reason: PeerError): void {
    const peer = this.#active.get(nodeId);
    if (peer === undefined) return;
    this.#active.delete(nodeId);
    peerLogger(this.#logger, nodeId).info({ code: reason.code }, `disconnected: ${reason.message}`);
    this.#tell(peer.connection, () => this.emit('disconnected', { nodeId, reason }));
  }

  /** A listener that throws costs its peer the connection, not the node its life. */
  #tell(connection: PeerConnection, emit: () => void): void {
    try {
      emit();
    } catch (error) {
      this.#logger.error({ err: error }, 'a listener of the peers threw');
      connection.close(new PeerError('listener_failed', 'internal error', { cause: error }));
    }
  }
}
