import { type ChainBackend, embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { ReceivePolicy } from '@rivulet/core/payment';
import type { Message } from '@rivulet/core/wire';
import type { RivuletNode } from '@rivulet/node';
import { type RivuletHost, startRivuletHost } from './rivuletHost.js';
import type { RivuletApi, RivuletOptions, RivuletPeer } from './rivuletPeer.js';
import { RivuletStory } from './rivuletStory.js';
import { InteropError } from './waitUntil.js';

/** A Rivulet in this process. */
export class RivuletHere extends RivuletStory implements RivuletPeer {
  readonly #chain: RegtestChain;
  readonly #options: RivuletOptions;
  #host: RivuletHost | undefined;
  #send: RivuletHost['node']['peers']['send'] | undefined;
  #nodeId = '';
  #port = 0;

  private constructor(chain: RegtestChain, options: RivuletOptions) {
    super();
    this.#chain = chain;
    this.#options = options;
  }

  static async start(chain: RegtestChain, options: RivuletOptions): Promise<RivuletHere> {
    const rivulet = new RivuletHere(chain, options);
    await rivulet.start();
    return rivulet;
  }

  get #running(): RivuletHost {
    if (this.#host === undefined) throw new InteropError('interop_unexpected', 'this Rivulet is stopped');
    return this.#host;
  }

  get nodeId(): string {
    return this.#nodeId;
  }

  get pubkey(): Uint8Array {
    return hexToBytes(this.#nodeId);
  }

  get port(): number {
    return this.#port;
  }

  get api(): RivuletApi {
    return this.#running.service;
  }

  /** The node itself, for what its API does not do. */
  get node(): RivuletNode {
    return this.#running.node;
  }

  /** Lets time pass, as far as the node asks for it; its timers are not moved. */
  advance(ms: number): void {
    this.#running.advance(ms);
  }

  /** Channels as the core has them: only of a node in this process. */
  get channels(): readonly Channel[] {
    return this.#running.node.channels;
  }

  /**
   * Ends the connection around Rivulet's next message of a type: with `before` that message and all that
   * follows it is lost, with `after` what the peer answers. It stays ended until somebody connects.
   */
  cut(when: 'before' | 'after', type: Message['type']): void {
    this.uncut();
    const { peers } = this.#running.node;
    const send = peers.send.bind(peers);
    this.#send = send;
    peers.send = (nodeId, messages) => {
      const index = messages.findIndex((message) => message.type === type);
      if (index < 0) return send(nodeId, messages);
      this.uncut();
      send(nodeId, messages.slice(0, when === 'before' ? index : index + 1));
      return peers.disconnect(nodeId);
    };
  }

  /** Forgets a cut that has not happened. */
  uncut(): void {
    if (this.#send !== undefined) this.#running.node.peers.send = this.#send;
    this.#send = undefined;
  }

  async setReceivePolicy(policy: ReceivePolicy): Promise<void> {
    Object.assign(this.#running.receive, policy);
  }

  async start(): Promise<void> {
    const backend: ChainBackend = embeddedBackend(this.#chain);
    this.#host = await startRivuletHost({
      options: { ...this.#options, port: this.#port },
      backend,
      onEvent: (event) => this.tell(event),
      onChange: () => this.touch(),
      onLog: (line) => this.addLogLine(line),
    });
    this.#nodeId = this.#host.node.nodeId;
    this.#port = this.#host.port;
  }

  async stop(): Promise<void> {
    const host = this.#host;
    this.#host = undefined;
    await host?.node.stop();
  }
}
