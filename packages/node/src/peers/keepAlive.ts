import type { Message, Ping, Pong, UnknownMessage } from '@rivulet/core/wire';
import { PeerError } from './peerError.js';
import type { CancelTimer, Scheduler } from './scheduler.js';
import { TokenBucket } from './tokenBucket.js';

export interface KeepAliveOptions {
  /** Between two pings of ours. */
  readonly pingIntervalMs: number;
  /** How long the peer may say nothing at all after a ping. */
  readonly pongTimeoutMs: number;
  /** Pings, unsolicited pongs and messages of no known type that the peer may send. */
  readonly idleMessages: { readonly capacity: number; readonly perSecond: number };
}

/** BOLT 1: from this many on, a ping wants no pong. */
const noPongFrom = 65532;

/** The control messages of one connection (BOLT 1, `ping` and `pong`), and whether the peer still lives. */
export class KeepAlive {
  readonly #scheduler: Scheduler;
  readonly #options: KeepAliveOptions;
  readonly #send: (messages: readonly Message[]) => void;
  readonly #fail: (error: PeerError) => void;
  readonly #budget: TokenBucket;
  #cancel: CancelTimer = () => {};
  /** The `numPongBytes` of our ping that has no answer yet. */
  #awaited: number | undefined;
  #heardSincePing = false;
  #deaf = false;

  constructor(given: {
    scheduler: Scheduler;
    options: KeepAliveOptions;
    send: (messages: readonly Message[]) => void;
    fail: (error: PeerError) => void;
  }) {
    this.#scheduler = given.scheduler;
    this.#options = given.options;
    this.#send = given.send;
    this.#fail = given.fail;
    this.#budget = new TokenBucket(given.scheduler, given.options.idleMessages);
  }

  start(): void {
    this.#cancel();
    this.#cancel = this.#scheduler.schedule(this.#options.pingIntervalMs, () => this.#ping());
  }

  stop(): void {
    this.#cancel();
  }

  /** Any bytes from the peer show that it lives: its pong may queue behind much else. */
  heard(): void {
    this.#heardSincePing = true;
  }

  /** While we read nothing on purpose, silence is no fault of the peer's. */
  setDeaf(deaf: boolean): void {
    this.#deaf = deaf;
    if (!deaf) this.#heardSincePing = true;
  }

  #ping(): void {
    const numPongBytes = 1;
    this.#awaited = numPongBytes;
    this.#heardSincePing = false;
    this.#send([{ type: 'ping', numPongBytes, ignored: new Uint8Array() }]);
    this.#cancel = this.#scheduler.schedule(this.#options.pongTimeoutMs, () => {
      if (this.#heardSincePing || this.#deaf) {
        this.start();
        return;
      }
      // BOLT 1: without a pong, MAY close the network connection and MUST NOT fail the channels.
      this.#fail(new PeerError('peer_silent', 'the peer did not answer a ping: the connection is closed'));
    });
  }

  /**
   * Takes a `ping`, a `pong` or a message that is ignored.
   * @throws PeerError `flood` when there are too many of them.
   */
  receive(message: Ping | Pong | UnknownMessage): void {
    if (message.type === 'pong' && message.ignored.length === this.#awaited) {
      this.#awaited = undefined;
      return;
    }
    if (!this.#budget.take()) {
      throw new PeerError('flood', 'too many pings, pongs or messages of unknown type in a short time');
    }
    // BOLT 1, ping, receiving node: from 65532 on the ping MUST be ignored.
    if (message.type === 'ping' && message.numPongBytes < noPongFrom) {
      this.#send([{ type: 'pong', ignored: new Uint8Array(message.numPongBytes) }]);
    }
  }
}
