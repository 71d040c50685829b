import type { ChaosNode } from './chaosNode.js';
import type { ChaosWorld } from './chaosWorld.js';
import type { Fault, PlannedFault } from './faultPlan.js';
import type { FaultyWire } from './faultyWire.js';

/** Makes the faults of a plan, each at its time. */
export class FaultMaker {
  readonly made = new Map<Fault['kind'], number>();
  readonly #world: ChaosWorld;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #under = new Set<Promise<void>>();

  constructor(world: ChaosWorld) {
    this.#world = world;
  }

  start(plan: readonly PlannedFault[]): void {
    for (const { atMs, fault } of plan) {
      this.#after(atMs, () => {
        this.made.set(fault.kind, (this.made.get(fault.kind) ?? 0) + 1);
        this.#world.note(JSON.stringify(fault));
        const making = this.#make(fault)
          .catch((error: unknown) =>
            this.#world.finding(`a fault could not be made: ${JSON.stringify(fault)}: ${String(error)}`),
          )
          .finally(() => this.#under.delete(making));
        this.#under.add(making);
      });
    }
  }

  /** All is as it should be again, as far as the world can see to it. */
  async calm(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const { nodes, links, chainWires, regtest } = this.#world;
    // Otherwise there would be outputs that are worth less than it costs to claim them.
    regtest.chain.feeratePerKw = 253;
    for (const wire of [...chainWires, ...links.map((link) => link.wire)]) wire.calm();
    await Promise.all(this.#under);
    await Promise.all(
      nodes.map(async (node) => {
        await node.arm(undefined, 0);
        await node.setClock(0);
      }),
    );
  }

  get total(): number {
    return [...this.made.values()].reduce((sum, count) => sum + count, 0);
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  async #make(fault: Fault): Promise<void> {
    const { regtest, chain, chainWires } = this.#world;
    switch (fault.kind) {
      case 'kill':
        return this.#node(fault.node).kill(fault.downMs);
      case 'restart':
        return this.#node(fault.node).restart(fault.downMs);
      case 'storage':
        return this.#node(fault.node).arm(fault.fault, fault.downMs);
      case 'cut':
        return this.#wire(fault.wire).cut();
      case 'cut_after':
        return this.#wire(fault.wire).cutAfter(fault.bytes);
      case 'half_close':
        return this.#wire(fault.wire).halfClose(fault.side);
      case 'delay': {
        const wire = this.#wire(fault.wire);
        wire.delayMs = fault.delayMs;
        return this.#after(fault.forMs, () => {
          wire.delayMs = 0;
        });
      }
      case 'silence':
        return this.#bad(this.#wire(fault.wire), fault.kind, fault.forMs);
      case 'refuse':
        return this.#bad(this.#wire(fault.wire), fault.kind, fault.forMs);
      case 'clock':
        return this.#node(fault.node).setClock(fault.aheadMs);
      case 'mine':
        return chain.mine(fault);
      case 'reorganise':
        return chain.reorganise(fault);
      case 'lose_mempool':
        return chain.loseMempool();
      case 'feerate':
        regtest.chain.feeratePerKw = fault.feeratePerKw;
        return;
      case 'chain_away':
        return this.#bad(chainWires[fault.node] as FaultyWire, fault.how, fault.forMs);
      case 'force_close':
        return this.#forceClose(fault);
    }
  }

  #bad(wire: FaultyWire, how: 'silence' | 'refuse', forMs: number): void {
    if (how === 'silence') wire.silent = true;
    else wire.refusing = true;
    this.#after(forMs, () => wire.calm());
  }

  async #forceClose({ node: index, pick }: Extract<Fault, { kind: 'force_close' }>): Promise<void> {
    const { registry } = this.#world;
    const node = this.#node(index);
    const open = [...registry.channels.values()].filter(
      ({ channelId, last }) => !registry.isClosing(channelId) && last.get(index)?.phase === 'open',
    );
    const chosen = open[pick % Math.max(open.length, 1)];
    if (chosen === undefined || !node.isUp) return;
    const { channelId } = chosen;
    registry.willClose(channelId, `chaos had ${node.name} close it by force`);
    this.#world.note(`${node.name} closes ${channelId} by force`);
    // Where the node dies meanwhile nobody knows whether it did; the calm closes it in any case.
    await node.call(({ api }) => api.closeChannel({ channelId, force: true })).catch(() => {});
  }

  #node(index: number): ChaosNode {
    return this.#world.nodes[index] as ChaosNode;
  }

  #wire(index: number): FaultyWire {
    const { links } = this.#world;
    return (links[index % links.length] as (typeof links)[number]).wire;
  }
}
