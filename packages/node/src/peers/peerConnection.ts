import type { Socket } from 'node:net';
import { RivuletError, utf8ToBytes } from '@rivulet/core/bytes';
import type { Handshake, TransportCipher } from '@rivulet/core/noise';
import {
  decodeMessage,
  encodeMessage,
  type FeatureBits,
  type Init,
  type Message,
  type UnknownMessage,
} from '@rivulet/core/wire';
import { acceptInit, createInit } from './initExchange.js';
import { publicNodeAddress } from './ipAddress.js';
import { KeepAlive, type KeepAliveOptions } from './keepAlive.js';
import { PeerError, type PeerErrorCode } from './peerError.js';
import type { CancelTimer, Scheduler } from './scheduler.js';

export interface ConnectionLimits extends KeepAliveOptions {
  /** From TCP's connection to the peer's `init`. */
  readonly handshakeTimeoutMs: number;
  /** How much may wait for a peer that does not read, before it is disconnected. */
  readonly maxOutboundBytes: number;
  /** How long a connection that we close may take to send its last bytes. */
  readonly closeGraceMs: number;
}

/** What both sides know once the connection may carry messages. */
export interface ReadyPeer {
  readonly remotePublicKey: Uint8Array;
  readonly localInit: Init;
  readonly remoteInit: Init;
  /** What both sides have (see negotiateFeatures). */
  readonly features: FeatureBits;
}

export interface PeerConnectionOptions {
  /** Connected. */
  readonly socket: Socket;
  readonly inbound: boolean;
  readonly handshake: Handshake;
  readonly features: FeatureBits;
  readonly chainHash: Uint8Array;
  readonly scheduler: Scheduler;
  readonly limits: ConnectionLimits;
  /** The peer has proved its key; `init` comes next. Return an error to close the connection instead. */
  readonly onAuthenticated: (remotePublicKey: Uint8Array) => PeerError | undefined;
  readonly onReady: (peer: ReadyPeer) => void;
  /** All the messages of one chunk, in order; never empty, never `init`, `ping` or `pong`. */
  readonly onMessages: (messages: readonly Message[]) => void;
  /** The peer has read all that waited for it, after so much waited that it was held back. */
  readonly onDrained: () => void;
  /** Once, when the connection is over for us. No messages come afterwards. */
  readonly onClosed: (reason: PeerError) => void;
  /** Once, when the socket is gone: at the same time or, if we closed in order, a little later. */
  readonly onReleased: () => void;
}

/** Faults that the peer is told of: with a warning, since an error would cost it its channels. */
const toldToPeer: ReadonlySet<PeerErrorCode> = new Set([
  'init_invalid',
  'features_incompatible',
  'chain_incompatible',
  'message_invalid',
  'message_unknown',
  'flood',
  'too_many_connections',
]);

/**
 * One connection to a peer, over BOLT 8 and BOLT 1: handshake, `init`, then messages. Knows nothing of
 * channels. Whatever the peer does ends in `onClosed` with a PeerError, never in an exception.
 */
export class PeerConnection {
  readonly #given: PeerConnectionOptions;
  readonly #socket: Socket;
  readonly #keepAlive: KeepAlive;
  #phase: 'handshake' | 'init' | 'ready' | 'closing' = 'handshake';
  #reported = false;
  #cipher: TransportCipher | undefined;
  #remotePublicKey: Uint8Array | undefined;
  #localInit: Init | undefined;
  /** Encoded, waiting for the end of this turn. */
  #corked: Uint8Array[] = [];
  #corkedBytes = 0;
  #reason: PeerError | undefined;
  #cancelTimer: CancelTimer = () => {};

  constructor(options: PeerConnectionOptions) {
    this.#given = options;
    this.#socket = options.socket;
    const { scheduler, limits, socket } = options;
    this.#keepAlive = new KeepAlive({
      scheduler,
      options: limits,
      send: (messages) => this.send(messages),
      fail: (error) => this.#fail(error),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    socket.on('drain', () => {
      if (this.#phase === 'ready') options.onDrained();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason ??= new PeerError('socket_error', `the connection broke: ${error.code ?? error.message}`, {
        cause: error,
      });
    });
    socket.on('end', () => {
      if (this.#phase === 'handshake') {
        this.#reason ??= new PeerError('handshake_failed', 'the peer closed the connection in the handshake');
      }
    });
    socket.on('close', () => {
      this.#cancelTimer();
      this.#over(new PeerError('closed_by_peer', 'the peer closed the connection'));
      options.onReleased();
    });
    this.#cancelTimer = scheduler.schedule(limits.handshakeTimeoutMs, () =>
      this.#fail(
        new PeerError(
          'handshake_timeout',
          `the peer did not finish the ${this.#phase === 'init' ? 'exchange of init' : 'handshake'} in ${limits.handshakeTimeoutMs} ms`,
        ),
      ),
    );
    const first = options.handshake.start();
    if (first.length > 0) socket.write(first);
  }

  get inbound(): boolean {
    return this.#given.inbound;
  }

  /** Bytes that wait for the peer to read. */
  get outboundBytes(): number {
    return this.#corkedBytes + this.#socket.writableLength;
  }

  /**
   * Sends messages, in order. All that is sent in one turn of the event loop goes out in one write.
   * Dropped in silence once the connection closes: the protocol repeats what was not acknowledged.
   * @throws WireError for a message that cannot be encoded; nothing is sent then.
   */
  send(messages: readonly (Message | UnknownMessage)[]): void {
    if (this.#phase !== 'ready' || messages.length === 0) return;
    this.#cork(messages.map(encodeMessage));
  }

  #cork(encoded: readonly Uint8Array[]): void {
    for (const bytes of encoded) {
      if (this.#corked.length === 0) process.nextTick(() => this.#flush());
      this.#corked.push(bytes);
      this.#corkedBytes += bytes.length;
    }
    const { maxOutboundBytes } = this.#given.limits;
    if (this.outboundBytes > maxOutboundBytes) {
      this.#corked = [];
      this.#corkedBytes = 0;
      this.#reason ??= new PeerError(
        'slow_reader',
        `the peer reads too slowly: more than ${maxOutboundBytes} bytes wait for it`,
      );
      this.#socket.destroy();
    }
  }

  #flush(): void {
    if (this.#corked.length === 0 || this.#cipher === undefined || this.#socket.destroyed) return;
    const packets = this.#cipher.encrypt(...this.#corked);
    this.#corked = [];
    this.#corkedBytes = 0;
    this.#socket.write(packets);
  }

  /** Stops reading: TCP holds the peer back. */
  pause(): void {
    this.#keepAlive.setDeaf(true);
    this.#socket.pause();
  }

  resume(): void {
    this.#keepAlive.setDeaf(false);
    this.#socket.resume();
  }

  /** Sends what waits and closes. */
  close(reason: PeerError): void {
    if (this.#phase === 'closing') return;
    this.#reason ??= reason;
    this.#flush();
    this.#cancelTimer();
    // The rest of what the peer sends is read and dropped, so that its end is seen.
    this.#socket.resume();
    this.#socket.end();
    this.#cancelTimer = this.#given.scheduler.schedule(this.#given.limits.closeGraceMs, () =>
      this.#socket.destroy(),
    );
    this.#over(reason);
  }

  /** Ends the connection at once and without a word. */
  abort(reason: PeerError): void {
    if (this.#phase === 'closing') return;
    this.#reason ??= reason;
    this.#socket.destroy();
    this.#over(reason);
  }

  #fail(error: PeerError): void {
    // BOLT 8: a failed handshake or packet MUST end the connection without any further messages.
    if (this.#phase === 'handshake' || error.code === 'transport_broken') {
      this.abort(error);
      return;
    }
    if (toldToPeer.has(error.code) && this.#phase !== 'closing') {
      this.#cork([
        encodeMessage({ type: 'warning', channelId: new Uint8Array(32), data: utf8ToBytes(error.message) }),
      ]);
    }
    this.close(error);
  }

  #over(reason: PeerError): void {
    this.#phase = 'closing';
    this.#keepAlive.stop();
    this.#corked = [];
    this.#corkedBytes = 0;
    if (this.#reported) return;
    this.#reported = true;
    this.#given.onClosed(this.#reason ?? reason);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#phase === 'closing' || this.#socket.destroyed) return;
    this.#keepAlive.heard();
    let rest = chunk;
    if (this.#phase === 'handshake') {
      const after = this.#continueHandshake(chunk);
      if (after === undefined || after.length === 0) return;
      rest = after;
    }
    let plaintexts: Uint8Array[];
    try {
      plaintexts = (this.#cipher as TransportCipher).decrypt(rest);
    } catch (error) {
      if (!(error instanceof RivuletError)) throw error;
      this.#fail(new PeerError('transport_broken', error.message, { cause: error }));
      return;
    }
    this.#deliver(plaintexts);
  }

  /** The bytes after the handshake, once it is done. */
  #continueHandshake(chunk: Uint8Array): Uint8Array | undefined {
    let step: ReturnType<Handshake['receive']>;
    try {
      step = this.#given.handshake.receive(chunk);
    } catch (error) {
      if (!(error instanceof RivuletError)) throw error;
      this.#fail(new PeerError('handshake_failed', error.message, { cause: error }));
      return undefined;
    }
    if (step.send.length > 0) this.#socket.write(step.send);
    if (step.session === undefined) return undefined;
    this.#cipher = step.session.cipher;
    this.#remotePublicKey = step.session.remotePublicKey;
    this.#phase = 'init';
    const { features, chainHash, inbound, onAuthenticated } = this.#given;
    const refusal = onAuthenticated(step.session.remotePublicKey);
    const { remoteAddress, remotePort } = this.#socket;
    this.#localInit = createInit({
      features,
      chainHash,
      remoteAddress:
        inbound && remoteAddress !== undefined && remotePort !== undefined
          ? publicNodeAddress(remoteAddress, remotePort)
          : undefined,
    });
    // BOLT 1: `init` MUST be the first message; so it goes before the warning of a refusal too.
    this.#cork([encodeMessage(this.#localInit)]);
    if (refusal !== undefined) {
      this.#fail(refusal);
      return undefined;
    }
    return step.rest;
  }

  #deliver(plaintexts: readonly Uint8Array[]): void {
    const batch: Message[] = [];
    let failure: PeerError | undefined;
    for (const plaintext of plaintexts) {
      try {
        this.#sort(decodeMessage(plaintext), batch);
      } catch (error) {
        if (error instanceof PeerError) failure = error;
        else if (error instanceof RivuletError) {
          failure = new PeerError('message_invalid', error.message, { cause: error });
        } else throw error;
        break;
      }
    }
    // What came before a fault counts, however TCP cut the chunks.
    if (batch.length > 0) this.#given.onMessages(batch);
    if (failure !== undefined) this.#fail(failure);
  }

  /** Deals with one message; those for the driver are added to the batch. @throws PeerError */
  #sort(message: Message | UnknownMessage, batch: Message[]): void {
    if (this.#phase === 'init') {
      // BOLT 1: `init` MUST be the first Lightning message for any connection.
      if (message.type !== 'init') {
        throw new PeerError('init_invalid', `the peer's first message is ${message.type}, not init`);
      }
      this.#acceptInit(message);
      return;
    }
    switch (message.type) {
      case 'init':
        throw new PeerError('init_invalid', 'the peer sent init twice');
      case 'ping':
      case 'pong':
        this.#keepAlive.receive(message);
        return;
      case 'unknown':
        // BOLT 1: an even unknown type MUST close the connection; an odd one MUST be ignored.
        if (message.typeNumber % 2 === 0) {
          throw new PeerError(
            'message_unknown',
            `the peer sent a message of unknown type ${message.typeNumber}`,
          );
        }
        this.#keepAlive.receive(message);
        return;
      default:
        batch.push(message);
    }
  }

  #acceptInit(remoteInit: Init): void {
    const features = acceptInit(remoteInit, this.#given);
    this.#phase = 'ready';
    this.#cancelTimer();
    this.#keepAlive.start();
    this.#given.onReady({
      remotePublicKey: this.#remotePublicKey as Uint8Array,
      localInit: this.#localInit as Init,
      remoteInit,
      features,
    });
  }
}
