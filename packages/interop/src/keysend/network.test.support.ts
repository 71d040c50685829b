import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ReceivedPayment, rivuletWallet, type Wallet } from '@rivulet/keysend';
import { type Daemon, loadConfig, runDaemon } from '@rivulet/node';
import { createClient, type NodeEvent, type RivuletClient, tokenFileName } from '@rivulet/sdk';
import { FundedChain } from './fundedChain.js';

/** A daemon in this process, and a wallet over it. */
export interface NetworkNode {
  readonly dataDir: string;
  readonly nodeId: string;
  readonly daemon: Daemon;
  readonly client: RivuletClient;
  readonly wallet: Wallet;
}

type Terms = Pick<Parameters<RivuletClient['openChannel']>[0], 'pushSat' | 'announce'>;

/** A chain and daemons over it, which take keysends. */
export class TestNetwork {
  /** For files of the test as well. */
  readonly folder: string;
  readonly #chain: FundedChain;
  readonly #nodes: NetworkNode[] = [];

  private constructor(folder: string, chain: FundedChain) {
    this.folder = folder;
    this.#chain = chain;
  }

  static async start(): Promise<TestNetwork> {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-network-'));
    return new TestNetwork(folder, await FundedChain.start());
  }

  async node(name: string): Promise<NetworkNode> {
    const { type, url, user, password } = this.#chain.settings;
    const dataDir = join(this.folder, name);
    const config = loadConfig({
      flags: {
        dataDir,
        alias: name,
        'listen.port': '0',
        'api.port': '0',
        'chain.type': type,
        'chain.url': url,
        'chain.user': user,
        'chain.password': password,
        'keysend.accept': 'true',
        'channels.minimumDepth': '1',
      },
    });
    const daemon = await runDaemon({ config });
    const token = readFileSync(join(dataDir, tokenFileName), 'utf8').trim();
    const client = createClient({ url: daemon.ready.apiUrl, token });
    const node = { dataDir, nodeId: daemon.ready.nodeId, daemon, client, wallet: rivuletWallet(client) };
    this.#nodes.push(node);
    return node;
  }

  /** Coins that may be spent, to each of these. */
  async fund(...nodes: readonly NetworkNode[]): Promise<void> {
    for (const { client } of nodes) this.#chain.pay((await client.newAddress()).address);
    await this.mine(1);
  }

  /** Mines, and waits until everybody has seen it. */
  async mine(blocks: number): Promise<void> {
    const { chain } = this.#chain.regtest;
    chain.mine({ blocks });
    for (const { client } of this.#nodes) {
      const isThere = async (): Promise<boolean> => {
        const { blockHeight, synced } = await client.info();
        return synced && blockHeight >= chain.tip.height;
      };
      // The last block is told a moment before the node calls itself synced.
      while (!(await isThere()));
    }
  }

  /** A channel of 1,000,000 sat that both sides can use. */
  async openChannel(from: NetworkNode, to: NetworkNode, terms: Terms = {}): Promise<void> {
    const { nodeId } = to;
    const [at] = to.daemon.ready.listening;
    const place = { host: at?.host ?? '', port: at?.port ?? 0 };
    const opened = async (): Promise<void> => {
      await from.client.openChannel({ ...terms, ...place, nodeId, capacitySat: 1_000_000n });
      await this.mine(6);
    };
    const usable = (of: string) => (event: NodeEvent) =>
      event.type === 'channel_changed' && event.channel.nodeId === of && event.channel.usable;
    await seen(from, () => seen(to, opened, usable(from.nodeId)), usable(nodeId));
  }

  async stop(): Promise<void> {
    for (const { daemon } of this.#nodes) await daemon.stop();
    await this.#chain.regtest.stop();
    rmSync(this.folder, { recursive: true });
  }
}

/** Two nodes, and a channel between them with 300,000 sat on the side of the second. */
export async function startPair(): Promise<{ network: TestNetwork; alice: NetworkNode; bob: NetworkNode }> {
  const network = await TestNetwork.start();
  const [alice, bob] = await Promise.all([network.node('alice'), network.node('bob')]);
  await network.fund(alice);
  await network.openChannel(alice, bob, { pushSat: 300_000n });
  return { network, alice, bob };
}

/** Acts, and waits until an event of this node fits. */
async function seen(
  { client }: NetworkNode,
  act: () => Promise<unknown>,
  fits: (event: NodeEvent) => boolean,
): Promise<void> {
  const ended = new AbortController();
  const events = await client.events({ signal: ended.signal });
  await act();
  for await (const event of events) if (fits(event)) break;
  ended.abort();
}

/** The first of what a wallet has received, or receives, that fits. */
export async function nextReceived(
  wallet: Wallet,
  fits: (payment: ReceivedPayment) => boolean,
): Promise<ReceivedPayment> {
  for await (const payment of wallet.subscribe({ signal: new AbortController().signal })) {
    if (fits(payment)) return payment;
  }
  throw new Error('it never came');
}
