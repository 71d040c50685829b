import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import { LdkNet } from './ldkNet.js';
import { createLdkParts, type LdkParts, type LdkPartsContext } from './ldkParts.js';
import type { LdkManagerPersistence } from './ldkTypes.js';

export interface LdkRunHooks {
  /** Acts on events; called outside LDK, so that it may call into it. */
  onEvents: (events: readonly ldk.Event[]) => void;
  onPeersChanged: () => void;
  /** LDK's state may be another one: once for all that happened in a turn. */
  onChanged: () => void;
}

// LDK's objects refer to each other inside WebAssembly, and finalizers run in any order: whoever frees a
// stopped node's parts one by one would have to know which of them still calls which.
const retired: object[] = [];

/** One life of a node, from start to stop: its LDK objects, its sockets, and the pump between them. */
export class LdkRun {
  readonly parts: LdkParts;
  readonly net: LdkNet;
  readonly #store: LdkPartsContext['store'];
  readonly #persistence: LdkManagerPersistence;
  readonly #hooks: LdkRunHooks;
  readonly #handler: ldk.EventHandler;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #life: { active: boolean };
  /** The manager has changed since it was written; a new one has never been. */
  #unwritten = true;
  #untold = false;
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
    this.net = new LdkNet(this.parts.peerManager, {
      afterEntry: () => this.#afterEntry(),
      onConnection: () => {
        this.#peersMayChange = true;
        this.schedulePump();
      },
    });
    this.#timers.push(setInterval(() => this.enter(() => this.timerTick()), 60_000));
    if (this.#persistence === 'second') {
      this.#timers.push(setInterval(() => this.#settle({ writeManager: true }), 1000));
    }
    this.#settle();
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

  /** Resolves when there is nothing left to do at once. */
  async rest(): Promise<void> {
    while (this.#pumpScheduled && this.#life.active) await new Promise((resolve) => setImmediate(resolve));
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
      this.#settle({ writeManager: true });
    }
    this.#life.active = false;
    this.net.stop();
    retired.push(this);
  }

  #afterEntry(): void {
    if (!this.#life.active) return;
    // Some changes need not be stored, such as a channel that becomes usable.
    this.#untold = true;
    this.#noteChanges();
    this.#settle();
    this.schedulePump();
  }

  #noteChanges(): boolean {
    const changed = Boolean(this.parts.manager.get_and_clear_needs_persistence());
    if (changed) this.#unwritten = true;
    return changed;
  }

  /** Ends a turn: makes durable what LDK has decided, and only then tells the peers. */
  #settle({ writeManager = this.#persistence === 'always' } = {}): void {
    if (!this.#life.active) return;
    if (this.#unwritten && writeManager) {
      this.#unwritten = false;
      this.#store.writeManager(this.parts.manager.write());
    }
    this.#store.commit();
    this.net.flush();
  }

  #pump(): void {
    const { manager, chainMonitor, peerManager } = this.parts;
    manager.as_EventsProvider().process_pending_events(this.#handler);
    chainMonitor.as_EventsProvider().process_pending_events(this.#handler);
    const events = this.#events;
    this.#events = [];
    if (events.length > 0) this.#hooks.onEvents(events);
    if (!this.#life.active) return;
    peerManager.process_events();
    // Neither a change nor an event: LDK rests, and so does the pump.
    if (this.#noteChanges() || events.length > 0) this.schedulePump();
    this.#settle();
    this.#reportPeers();
    if (this.#untold) {
      this.#untold = false;
      this.#hooks.onChanged();
    }
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
