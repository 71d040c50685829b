import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addressToScript, type Regtest, startRegtest } from '@rivulet/chain';
import type { TxOutput } from '@rivulet/core/tx';
import { createDice } from '../interop/dice.js';
import { waitUntil } from '../interop/waitUntil.js';
import { ChannelRegistry } from './channelRegistry.js';
import { ChaosChain } from './chaosChain.js';
import type { ChaosNodeState } from './chaosChildProtocol.js';
import { ChaosNode } from './chaosNode.js';
import { FaultyWire } from './faultyWire.js';

/** Who is connected with whom, and over how many channels; the first of a link dials. */
export interface LinkPlan {
  readonly dialer: number;
  readonly listener: number;
  readonly channels: number;
  readonly announce: boolean;
}

const names = ['A', 'B', 'C'] as const;
/** Each node begins with so many coins, so that several openings need not wait for one another. */
const coins = 4;
const coinSat = 10_000_000n;
/** Rewards may be spent after 100 blocks (consensus). */
const ripeBlocks = 110;
/** All channels are usable by then; and then so many more, that a reorganisation may take them back. */
const openingBlocks = 60;
const deepBlocks = 30;
/** A check that fails for so long is no coincidence. */
const brokenMs = 60_000;
const checkEveryMs = 5_000;

/** A line with two channels in a row between neighbours, or a triangle; told to all, or by hints alone. */
function planLinks(seed: number): readonly LinkPlan[] {
  const line = [
    { dialer: 0, listener: 1, channels: 2, announce: true },
    { dialer: 1, listener: 2, channels: 2, announce: true },
  ];
  switch (seed % 3) {
    case 0:
      return [
        { dialer: 0, listener: 1, channels: 1, announce: true },
        { dialer: 1, listener: 2, channels: 1, announce: true },
        { dialer: 2, listener: 0, channels: 1, announce: true },
      ];
    case 1:
      return line;
    default:
      return line.map((link) => (link.listener === 2 ? { ...link, announce: false } : link));
  }
}

export interface Link extends LinkPlan {
  readonly wire: FaultyWire;
}

/** Three nodes in processes of their own, the wires between them, and their chain. */
export class ChaosWorld {
  readonly regtest: Regtest;
  readonly chain: ChaosChain;
  readonly nodes: readonly ChaosNode[];
  readonly links: readonly Link[];
  readonly chainWires: readonly FaultyWire[];
  readonly registry: ChannelRegistry;
  readonly findings: string[] = [];
  /** As each node told last. */
  readonly states: (ChaosNodeState | undefined)[] = [];
  #checkedMs = 0;
  readonly #brokenSince = new Map<string, number>();
  readonly #folder: string;

  private constructor(given: {
    folder: string;
    regtest: Regtest;
    nodes: readonly ChaosNode[];
    links: readonly Link[];
    chainWires: readonly FaultyWire[];
    findings: string[];
  }) {
    this.#folder = given.folder;
    this.regtest = given.regtest;
    this.chain = new ChaosChain(given.regtest);
    this.nodes = given.nodes;
    this.links = given.links;
    this.chainWires = given.chainWires;
    this.findings = given.findings;
    this.registry = new ChannelRegistry({
      nodeIndex: (nodeId) => this.nodes.findIndex((node) => node.nodeId === nodeId),
      onUnexpected: (what) => this.finding(what),
    });
  }

  static async create({ folder, seed }: { folder: string; seed: number }): Promise<ChaosWorld> {
    const regtest = await startRegtest({ dataDir: join(folder, 'chain') });
    const findings: string[] = [];
    const chainWires: FaultyWire[] = [];
    const nodes: ChaosNode[] = [];
    let world: ChaosWorld | undefined;
    const roll = createDice(seed);
    for (const [index, name] of names.entries()) {
      const esplora = (seed + index) % 4 === 3;
      const target = Number(new URL(esplora ? regtest.esploraUrl : regtest.rpcUrl).port);
      const wire = await FaultyWire.start(() => target);
      chainWires.push(wire);
      const url = `http://127.0.0.1:${wire.port}`;
      nodes.push(
        new ChaosNode({
          name,
          options: {
            seed: Uint8Array.from({ length: 64 }, () => roll(256)),
            dataDir: join(folder, name),
            chain: esplora
              ? { kind: 'esplora', url }
              : { kind: 'bitcoind', url, user: regtest.rpcUser, password: regtest.rpcPassword },
          },
          events: {
            note: (what) => world?.note(what),
            unexpected: (what) => world?.finding(what),
          },
        }),
      );
    }
    const links: Link[] = [];
    for (const plan of planLinks(seed)) {
      const listener = nodes[plan.listener] as ChaosNode;
      links.push({ ...plan, wire: await FaultyWire.start(() => listener.port) });
    }
    world = new ChaosWorld({ folder, regtest, nodes, links, chainWires, findings });
    return world;
  }

  /** A line in the log of what happened, with its time. */
  note(what: string): void {
    appendFileSync(join(this.#folder, 'chaos.log'), `${new Date().toISOString()} ${what}\n`);
  }

  finding(what: string): void {
    this.findings.push(what);
    this.note(`FINDING ${what}`);
  }

  /**
   * A check may fail for a moment, as when a peer died in the middle of what it was about to say again: what
   * stays is a finding.
   */
  #checked(name: string, broken: readonly string[]): void {
    const nowMs = performance.now();
    for (const key of this.#brokenSince.keys()) {
      if (key.startsWith(name) && !broken.some((one) => key === `${name} ${one}`))
        this.#brokenSince.delete(key);
    }
    for (const one of broken) {
      const key = `${name} ${one}`;
      const since = this.#brokenSince.get(key);
      if (since === undefined) this.#brokenSince.set(key, nowMs);
      else if (nowMs - since > brokenMs) this.#once(`a check of ${name} failed: ${one}`);
    }
  }

  /** What shows again with every look. */
  #once(what: string): void {
    if (!this.findings.includes(what)) this.finding(what);
  }

  /** The nodes run, have coins and channels. */
  async begin(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    // The reward of the first block is what the nodes are given: it is ripe when they begin.
    this.chain.mine({ blocks: ripeBlocks });
    await Promise.all(this.nodes.map((node) => node.start()));
    const outputs: TxOutput[] = [];
    for (const node of this.nodes) {
      for (let i = 0; i < coins; i++) {
        const { address } = await node.call(({ api }) => api.newAddress({}));
        outputs.push({ valueSat: coinSat, script: addressToScript(address, 'regtest') });
      }
    }
    this.chain.give(outputs);
    await this.caughtUp();
    await this.connectAll();
    for (let i = 0; i < 4; i++) await this.openMissing();
    await this.mineUntil('all channels are usable', openingBlocks, async () => {
      await this.openMissing();
      return this.links.every((link) => this.usableOf(link) >= link.channels);
    });
    this.chain.mine({ blocks: deepBlocks });
    await this.caughtUp();
  }

  /** Asks every node that runs for its state. */
  async look(): Promise<void> {
    const check = performance.now() - this.#checkedMs > checkEveryMs;
    if (check) this.#checkedMs = performance.now();
    await Promise.all(
      this.nodes.map(async (node, index) => {
        const state = await node.call((process) => process.call('state', { check })).catch(() => undefined);
        this.states[index] = state;
        if (state === undefined) return;
        node.sawUsage(state);
        this.registry.saw(index, state.channels);
        for (const channelId of state.stopped) {
          this.#once(`an internal fault stopped channel ${channelId} of ${node.name}`);
        }
        if (state.broken !== undefined) this.#checked(node.name, state.broken);
      }),
    );
  }

  async caughtUp(): Promise<void> {
    const { height } = this.chain;
    await waitUntil({
      what: `all nodes are at block ${height}`,
      sources: [],
      timeoutMs: 180_000,
      check: async () => {
        const heights = this.nodes.map((node) =>
          node.call((process) => process.call('height')).catch(() => undefined),
        );
        return (await Promise.all(heights)).every((one) => one === height);
      },
      context: async () => this.describe(),
    });
    await this.look();
  }

  /** Mines one by one until something holds. @returns whether it did */
  async mineUntil(what: string, maxBlocks: number, holds: () => Promise<boolean>): Promise<boolean> {
    for (let blocks = 0; blocks < maxBlocks; blocks++) {
      if (await holds()) return true;
      this.chain.mine();
      await this.caughtUp();
    }
    this.finding(`${maxBlocks} blocks have not brought it that ${what}: ${this.describe()}`);
    return false;
  }

  async connectAll(): Promise<void> {
    await Promise.all(this.links.map((link) => this.connect(link)));
  }

  async connect({ dialer, listener, wire }: Link): Promise<void> {
    const { nodeId } = this.nodes[listener] as ChaosNode;
    await (this.nodes[dialer] as ChaosNode)
      .call(({ api }) => api.connect({ nodeId, host: '127.0.0.1', port: wire.port }))
      .catch(() => {});
  }

  /** Channels of a link that live, or are on their way, as either of its nodes sees it. */
  liveOf({ dialer, listener }: LinkPlan): number {
    let live = 0;
    for (const { opener, accepter, last, channelId } of this.registry.channels.values()) {
      const isHere =
        (opener === dialer && accepter === listener) || (opener === listener && accepter === dialer);
      if (!isHere || this.registry.isClosing(channelId)) continue;
      const phase = last.get(opener)?.phase;
      if (phase === 'open' || phase === 'awaiting_ready') live++;
    }
    return live;
  }

  /** Whether a node had a channel that can send when it was last looked at. */
  canSend(node: number): boolean {
    return this.states[node]?.channels.some(({ usable }) => usable) === true;
  }

  usableOf({ dialer, listener }: LinkPlan): number {
    const usable = (node: number, other: number): number => {
      const { nodeId } = this.nodes[other] as ChaosNode;
      const channels = this.states[node]?.channels ?? [];
      return channels.filter((one) => one.usable && one.remoteNodeId === nodeId).length;
    };
    return Math.min(usable(dialer, listener), usable(listener, dialer));
  }

  #openings = 0;

  /** Opens a channel where one is missing: in turns from this side and from that. */
  async openMissing(): Promise<void> {
    for (const link of this.links) {
      if (this.liveOf(link) >= link.channels) continue;
      const swap = this.#openings % 2 === 1;
      const [opener, other] = swap ? [link.listener, link.dialer] : [link.dialer, link.listener];
      const { nodeId } = this.nodes[other] as ChaosNode;
      const capacitySat = 1_500_000n + BigInt(this.#openings % 3) * 500_000n;
      try {
        const { channelId } = await (this.nodes[opener] as ChaosNode).call(({ api }) =>
          api.openChannel({
            nodeId,
            capacitySat,
            pushSat: capacitySat / 2n,
            announce: link.announce,
            channelType: this.#openings % 4 === 3 ? 'static_remotekey' : 'anchors',
          }),
        );
        this.#openings++;
        this.note(`channel ${channelId} is being opened`);
        await this.look();
      } catch (error) {
        this.note(`no channel was opened: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** What the nodes have to do yet, for people. */
  describe(): string {
    return this.states
      .map((state, index) => {
        const { name } = this.nodes[index] as ChaosNode;
        if (state === undefined) return `${name}: does not answer`;
        const channels = state.channels
          .filter(({ phase }) => phase !== 'closed')
          .map(
            ({ channelId, phase, link, htlcs }) => `${channelId.slice(0, 8)} ${phase} ${link} ${htlcs} HTLCs`,
          );
        return `${name}: height ${state.blockHeight}, ${state.sendings} sendings, ${state.forwards} forwards, ${channels.join(', ')}`;
      })
      .join('; ');
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const wire of [...this.chainWires, ...this.links.map((link) => link.wire)]) wire.close();
    await this.regtest.stop();
  }
}
