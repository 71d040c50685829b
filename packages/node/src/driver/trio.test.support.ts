import { RegtestChain } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { startNode, type TestNode, until } from './pair.test.support.js';

export type Place = 'spring' | 'brook' | 'lake';
const seeds = { spring: 11, brook: 12, lake: 13 } as const;

/** spring - brook - lake: three nodes, a channel between each two neighbours. */
export class Trio {
  readonly chain = new RegtestChain({});
  spring!: TestNode;
  brook!: TestNode;
  lake!: TestNode;

  /** With usable channels; announced ones are known to all three. */
  static async withChannels({ announce }: { announce: boolean }): Promise<Trio> {
    const trio = new Trio();
    for (const place of ['spring', 'brook', 'lake'] as const) {
      trio[place] = await startNode(trio.chain, { seed: seeds[place] });
    }
    for (const { node } of [trio.spring, trio.brook]) {
      trio.chain.mine({ blocks: 1, script: node.wallet.newAddress().script });
    }
    await trio.mine(100);
    await trio.open('spring', 'brook', announce);
    await trio.open('brook', 'lake', announce);
    await trio.mine(6);
    await until(() => trio.nodes.every((node) => node.channels.every(isOpen)), 'all channels are open');
    if (announce) {
      await until(() => trio.nodes.every(({ known }) => knowsAll(known.graph)), 'gossip has reached all');
    }
    return trio;
  }

  get nodes() {
    return [this.spring.node, this.brook.node, this.lake.node];
  }

  async connect(from: Place, to: Place) {
    const [address] = this[to].node.listening;
    return this[from].node.peers.connect({ nodeId: this[to].node.nodeId, ...address! });
  }

  async open(from: Place, to: Place, announce: boolean): Promise<Channel> {
    const peer = await this.connect(from, to);
    return this[from].node.openChannel({
      peer,
      capacitySat: 1_000_000n,
      pushMsat: 400_000_000n,
      announce,
    });
  }

  async mine(blocks: number): Promise<void> {
    this.chain.mine({ blocks });
    await until(
      () => this.nodes.every((node) => node.blockHeight === this.chain.tip.height),
      'the blocks are seen',
    );
  }

  /** The channel between two neighbours, as the first of them has it. */
  channel(of: Place, to: Place): Channel {
    const id = this[to].node.nodeId;
    const found = this[of].node.channels.find(({ params }) => bytesToHex(params.remoteNodeId) === id);
    if (found === undefined) throw new Error(`${of} has no channel with ${to}`);
    return found;
  }

  id(place: Place): Uint8Array {
    return hexToBytes(this[place].node.nodeId);
  }

  /** All that is in the channels of the three: each counts what it has in its own. */
  get totalMsat(): bigint {
    return this.nodes.flatMap(({ channels }) => channels).reduce((sum, { localMsat }) => sum + localMsat, 0n);
  }

  async restart(place: Place): Promise<void> {
    const { node, store } = this[place];
    await node.stop();
    this[place] = await startNode(this.chain, { seed: seeds[place], store });
  }

  /** All HTLCs are over. */
  async settled(): Promise<void> {
    await until(
      () => this.nodes.every(({ channels }) => channels.every(({ htlcs }) => htlcs.size === 0)),
      'no HTLC is pending',
    );
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
  }
}

function isOpen({ phase, link }: Channel): boolean {
  return phase.name === 'open' && link === 'online';
}

function knowsAll(graph: TestNode['node']['known']['graph']): boolean {
  const channels = [...graph.channels()];
  return (
    channels.length === 2 &&
    channels.every(({ policies }) => policies.every((policy) => policy !== undefined))
  );
}
