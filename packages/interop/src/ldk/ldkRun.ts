import type { AddressInfo, Server } from 'node:net';
import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { NodeLDKNet } from 'lightningdevkit-node-net';
import { LdkError } from './ldkError.js';
import { createLdkParts, type LdkParts, type LdkPartsContext } from './ldkParts.js';
import type { LdkManagerPersistence } from './ldkTypes.js';

export interface LdkRunHooks {
  /** Acts on events; called outside LDK, so that it may call into it. */
  onEvents: (events: readonly ldk.Event[]) => void;
  onPeersChanged: () => void;
}

// LDK's objects refer to each other inside WebAssembly, and finalizers run in any order: whoever frees a
// stopped node's parts one by one would have to know which of them still calls which.
const retired: object[] = [];

/** One life of a node, from start to stop: its LDK objects, its sockets, and the pump between them. */
export class LdkRun {
  readonly parts: LdkParts;
  readonly #net: NodeLDKNet;
  readonly #store: LdkPartsContext['store'];
  readonly #persistence: LdkManagerPersistence;
  readonly #hooks: LdkRunHooks;
  readonly #handler: ldk.EventHandler;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #life: { active: boolean };
  /** Without the pump around it, which would never rest. */
  readonly #processEvents: () => void;
  /** The manager has changed since it was written; a new one has never been. */
  #unwritten = true;
  #events: ldk.Event[] = [];
  #pumpScheduled = false;
  #peersMayChange = false;
  #peerSet = '';

  constructor(context: Omit<LdkPartsContext, 'isActive'>, hooks: LdkRunHooks) {
    const life = { active: true };
    this.#life = life;
    this.#store = context.store;
    this.#persistence = context.options.managerPersistence ?? 'always';
    this.#hooks = hooks;
    this.parts = createLdkParts({ ...context, isActive: () => life.active });
    this.#handler = ldk.EventHandler.new_impl({
      handle_event: (event) => {
        this.#events.push(event);
        return ldk.Result_NoneReplayEventZ.constructor_ok();
      },
    });
    this.#processEvents = this.parts.peerManager.process_events.bind(this.parts.peerManager);
    this.#watchPeerManager();
    this.#net = new NodeLDKNet(this.parts.peerManager);
    this.#timers.push(setInterval(() => this.enter(() => this.timerTick()), 60_000));
    if (this.#persistence === 'second') this.#timers.push(setInterval(() => this.#writeManager(), 1000));
    this.#writeManager();
  }

  /** Listens on the loopback address; resolves to the port. */
  async listen(port: number): Promise<number> {
    await this.#net.bind_listener('127.0.0.1', port).catch(() => {
      throw new LdkError('ldk_refused', `LDK cannot listen on port ${port}: is it taken?`);
    });
    const { servers } = this.#net as unknown as { servers: Server[] };
    return (servers[0]!.address() as AddressInfo).port;
  }

  async connect({ pubkey, host, port }: { pubkey: Uint8Array; host: string; port: number }): Promise<void> {
    await this.#net.connect_peer(host, port, pubkey).catch(() => {
      throw new LdkError('ldk_refused', `no connection to ${host}:${port}`);
    });
    this.schedulePump();
  }

  /** Calls into LDK, and lets it persist, send and report whatever follows from the call. */
  enter<T>(call: () => T): T {
    if (!this.#life.active) throw new LdkError('ldk_not_running', 'the LDK node has been stopped');
    try {
      return call();
    } finally {
      this.#afterEntry();
    }
  }

  timerTick(): void {
    this.parts.manager.timer_tick_occurred();
    this.parts.chainMonitor.rebroadcast_pending_claims();
  }

  schedulePump(): void {
    if (this.#pumpScheduled || !this.#life.active) return;
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      if (this.#life.active) this.#pump();
    });
  }

  /** Ends this life. With `crash`, what LDK would still write or say is lost. */
  stop({ crash }: { crash: boolean }): void {
    for (const timer of this.#timers) clearInterval(timer);
    if (!crash) {
      this.#noteChanges();
      this.#writeManager();
    }
    this.#life.active = false;
    this.#net.stop();
    retired.push(this);
  }

  /** Lets the pump follow whatever the network handler does to the PeerManager. */
  #watchPeerManager(): void {
    const { peerManager } = this.parts;
    const newInbound = peerManager.new_inbound_connection.bind(peerManager);
    const newOutbound = peerManager.new_outbound_connection.bind(peerManager);
    const disconnected = peerManager.socket_disconnected.bind(peerManager);
    peerManager.process_events = () => {
      this.#processEvents();
      this.#afterEntry();
    };
    peerManager.new_inbound_connection = (...args) => {
      this.#peersMayChange = true;
      return newInbound(...args);
    };
    peerManager.new_outbound_connection = (...args) => {
      this.#peersMayChange = true;
      return newOutbound(...args);
    };
    peerManager.socket_disconnected = (...args) => {
      this.#peersMayChange = true;
      disconnected(...args);
      this.#afterEntry();
    };
  }

  #afterEntry(): void {
    if (!this.#life.active) return;
    // In the same turn of the event loop: a crash between turns leaves manager and monitors in step.
    this.#noteChanges();
    this.schedulePump();
  }

  /** Writes the manager if it has changed, now or later; tells whether it has. */
  #noteChanges(): boolean {
    const changed = Boolean(this.parts.manager.get_and_clear_needs_persistence());
    if (changed) this.#unwritten = true;
    if (this.#persistence === 'always') this.#writeManager();
    return changed;
  }

  #writeManager(): void {
    if (!this.#unwritten || !this.#life.active) return;
    this.#unwritten = false;
    this.#store.writeManager(this.parts.manager.write());
  }

  #pump(): void {
    const { manager, chainMonitor } = this.parts;
    manager.as_EventsProvider().process_pending_events(this.#handler);
    chainMonitor.as_EventsProvider().process_pending_events(this.#handler);
    const events = this.#events;
    this.#events = [];
    if (events.length > 0) this.#hooks.onEvents(events);
    if (!this.#life.active) return;
    this.#processEvents();
    if (this.#noteChanges() || events.length > 0) this.schedulePump();
    this.#reportPeers();
  }

  #reportPeers(): void {
    if (!this.#peersMayChange) return;
    const peers = this.parts.peerManager
      .list_peers()
      .map((peer) => bytesToHex(peer.get_counterparty_node_id()));
    const peerSet = peers.sort().join();
    if (peerSet === this.#peerSet) return;
    this.#peerSet = peerSet;
    this.#hooks.onPeersChanged();
  }
}
