import { bytesToHex } from '@rivulet/core/bytes';
import type { BlockHeader } from '../block.js';
import type { ChainTip } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import type { ChainState, ServerHealth } from '../chainHealth.js';
import type { Network } from '../network.js';
import { proofOfWorkFault } from '../proofOfWork.js';
import type { EsploraClient } from './esploraClient.js';
import { type HeaderNode, HeaderTree } from './headerTree.js';
import type { HealthTracker } from './healthTracker.js';

/** Headers below the first tip, from where the tree begins. */
const anchorDepth = 6;
/** A branch that left the chain further back than this is not looked into. */
const maxForkDepth = 200;
/** As many headers as are fetched at once, after months without a connection. */
const maxHeaders = 20_000;
/** A server that is one or two blocks late is as good as the others. */
const fewBlocks = 2;
/**
 * No chain of mainnet is shorter: who shows one is on something else, or would have the tree begin with blocks that
 * any machine could have mined.
 */
const leastMainnetHeight = 700_000;
/** How long a server that lied is not asked. */
const distrustMs = 60_000;

interface Fault {
  readonly kind: 'unreachable' | 'behind' | 'lying';
  readonly error: ChainError;
  readonly atMs: number;
}

interface Server {
  readonly client: EsploraClient;
  /** Whether its network is ours. */
  checked: boolean;
  /** The last tip that it showed and that was found valid; kept while it cannot be reached. */
  tip: HeaderNode | undefined;
  fault: Fault | undefined;
  looking: Promise<void> | undefined;
  health: ServerHealth;
}

function asChainError(error: unknown): ChainError {
  if (error instanceof ChainError) return error;
  return new ChainError('chain_bad_response', 'the Esplora server sent something unexpected', {
    cause: error,
  });
}

/**
 * Several Esplora servers, of which none is believed more than the work that stands behind what it says: all are
 * asked for their tips, the valid chain with the most work is followed, and a question goes to one server that
 * has that chain, then to the next where it fails.
 */
export class EsploraPool {
  readonly #servers: readonly Server[];
  readonly #health: HealthTracker;
  readonly #tipTimeoutMs: number;
  #network: Network | undefined;
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<void>;
  #tree: HeaderTree | undefined;
  #refreshing: Promise<ChainTip> | undefined;
  #queued: Promise<ChainTip> | undefined;
  #mostWork: bigint | undefined;

  constructor(options: {
    clients: readonly EsploraClient[];
    health: HealthTracker;
    tipTimeoutMs: number;
    network: Network | undefined;
    /** Waits, or until the signal is aborted. */
    pause: (ms: number, signal: AbortSignal) => Promise<void>;
  }) {
    this.#pause = options.pause;
    this.#health = options.health;
    this.#tipTimeoutMs = options.tipTimeoutMs;
    this.#network = options.network;
    const sinceMs = options.health.now();
    this.#servers = options.clients.map((client) => ({
      client,
      checked: false,
      tip: undefined,
      fault: undefined,
      looking: undefined,
      health: {
        url: client.url,
        state: 'behind',
        sinceMs,
        tipHeight: undefined,
        tipTimeMs: undefined,
        detail: 'it was not asked for anything yet',
      },
    }));
  }

  get tree(): HeaderTree | undefined {
    return this.#tree;
  }

  /** The network that was set, or else that of the first server that answers. */
  async network(): Promise<Network> {
    let failure: ChainError | undefined;
    let other: Network | undefined;
    for (const server of this.#servers) {
      try {
        const found = await server.client.network();
        if (this.#network === undefined || found === this.#network) return found;
        other ??= found;
      } catch (error) {
        failure ??= this.#failed(server, error);
      }
    }
    if (other !== undefined) return other;
    throw failure ?? new ChainError('chain_unreachable', 'there is no Esplora server');
  }

  async #checkNetwork(server: Server): Promise<Network> {
    if (server.checked && this.#network !== undefined) return this.#network;
    const found = await server.client.network();
    this.#network ??= found;
    if (found !== this.#network) {
      const message = `the Esplora server ${server.client.url} is on ${found}, not on ${this.#network}`;
      throw new ChainError('chain_wrong_network', message);
    }
    server.checked = true;
    this.#tree ??= new HeaderTree(found);
    return found;
  }

  /** Keeps what went wrong. Throws what is no failure of the server. */
  #failed(server: Server, thrown: unknown): ChainError {
    const error = asChainError(thrown);
    if (error.code === 'chain_closed') throw error;
    const lying = error.code === 'chain_invalid_data' || error.code === 'chain_wrong_network';
    if (lying) server.tip = undefined;
    server.fault = { kind: lying ? 'lying' : 'unreachable', error, atMs: this.#health.now() };
    this.#report();
    return error;
  }

  #distrusts({ fault }: Server): boolean {
    return fault?.kind === 'lying' && this.#health.now() - fault.atMs < distrustMs;
  }

  /**
   * Asks all servers for their tips, and answers with the best one. Servers that did not answer the last time
   * are not waited for, as long as others do, nor those that take much longer than the others.
   * @throws ChainError when no server answers with a valid chain
   */
  refresh(): Promise<ChainTip> {
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#refresh().finally(() => {
        this.#refreshing = undefined;
      });
      return this.#refreshing;
    }
    // What is under way may have asked before the block came that the caller knows of.
    this.#queued ??= this.#refreshing
      .catch(() => {})
      .then(() => {
        this.#queued = undefined;
        return this.refresh();
      });
    return this.#queued;
  }

  async #refresh(): Promise<ChainTip> {
    const due = this.#servers.filter((server) => !this.#distrusts(server));
    const good = due.filter(({ fault }) => fault === undefined);
    const others = due.filter((server) => !good.includes(server)).map((server) => this.#look(server));
    for (const look of others) look.then(() => this.#choose()).catch(() => {});
    await this.#lookAtAll(good);
    if (!good.some(({ fault }) => fault === undefined)) await Promise.all(others);
    this.#choose();
    const best = this.#tree?.best;
    const answered = this.#servers.some(({ fault, tip }) => fault === undefined && tip !== undefined);
    if (best !== undefined && answered) return { height: best.height, hash: best.hash };
    const fault = this.#servers.find((server) => server.fault !== undefined)?.fault;
    throw fault?.error ?? new ChainError('chain_unreachable', 'no Esplora server answers');
  }

  /** Waits for all, but not for long once one has answered: who drips its headers must not keep the rest back. */
  async #lookAtAll(servers: readonly Server[]): Promise<void> {
    if (servers.length === 0) return;
    const waiting = new Set(servers);
    const done = new AbortController();
    const looks = servers.map((server) => this.#look(server).then(() => waiting.delete(server)));
    const all = Promise.all(looks).then(() => done.abort());
    // Who is closed meanwhile is told below, unless nobody waits for that any more.
    all.catch(() => {});
    await Promise.race(looks);
    const answered = () => servers.some((one) => !waiting.has(one) && one.fault === undefined);
    while (waiting.size > 0) {
      await Promise.race([all, this.#pause(this.#tipTimeoutMs, done.signal)]);
      if (waiting.size > 0 && answered()) break;
    }
    for (const server of waiting) {
      const error = new ChainError('chain_timeout', 'it takes long to show its newest blocks');
      server.fault = { kind: 'behind', error, atMs: this.#health.now() };
      server.looking?.then(() => this.#choose()).catch(() => {});
    }
  }

  #look(server: Server): Promise<void> {
    server.looking ??= this.#lookNow(server).finally(() => {
      server.looking = undefined;
    });
    return server.looking;
  }

  async #lookNow(server: Server): Promise<void> {
    try {
      const network = await this.#checkNetwork(server);
      const hash = await server.client.tipHash(this.#tipTimeoutMs);
      const found = this.#tree?.get(hash) ?? (await this.#connect(server, { network, hash }));
      if (typeof found === 'string') {
        const error = new ChainError('chain_bad_response', found);
        server.fault = { kind: 'behind', error, atMs: this.#health.now() };
        server.tip = undefined;
        return;
      }
      server.tip = found;
      server.fault = undefined;
    } catch (error) {
      this.#failed(server, error);
    }
  }

  /**
   * Fetches headers from a tip back to the tree, and adds them all at once: others may do so meanwhile.
   * @returns the tip, or why it is of no interest
   */
  async #connect(
    { client }: Server,
    { network, hash }: { network: Network; hash: Uint8Array },
  ): Promise<HeaderNode | string> {
    const tree = this.#tree as HeaderTree;
    const claimed = await client.heightOf(hash);
    if (claimed === undefined) {
      throw new ChainError(
        'chain_bad_response',
        `the Esplora server ${client.url} does not know its own tip`,
      );
    }
    const best = tree.best;
    if (best !== undefined && claimed < best.height - maxForkDepth) {
      return `its newest block is ${claimed}, ${best.height - claimed} blocks behind`;
    }
    const limit = Math.min(maxHeaders, Math.max(claimed - (best?.height ?? claimed), 0) + maxForkDepth);
    const headers: BlockHeader[] = [];
    let cursor = hash;
    let height = claimed;
    for (let known = tree.get(cursor); known === undefined; known = tree.get(cursor)) {
      const header = await client.header(cursor);
      if (tree.get(cursor) !== undefined) continue;
      if (header === undefined) {
        const message = `the Esplora server ${client.url} does not have the blocks below its tip`;
        throw new ChainError('chain_bad_response', message);
      }
      const fault = proofOfWorkFault(header, { network, hash: cursor });
      if (fault !== undefined) throw this.#lie(client, `a header of height ${height} that is none: ${fault}`);
      if (tree.root === undefined && (headers.length === anchorDepth || height === 0)) {
        if (network === 'mainnet' && height < leastMainnetHeight)
          throw this.#lie(client, 'far too few blocks');
        return this.#plant(headers, { header, height });
      }
      if (height === 0) throw this.#lie(client, 'a chain with another beginning');
      headers.push(header);
      if (headers.length > limit) {
        throw this.#lie(client, `a chain that leaves the others more than ${maxForkDepth} blocks ago`);
      }
      cursor = header.previousHash;
      height--;
      while (height < (tree.root?.height ?? 0)) await this.#deepen(tree, client);
    }
    if (tree.get(cursor)?.height !== height) throw this.#lie(client, 'a height that its tip does not have');
    let node = tree.get(cursor) as HeaderNode;
    for (const header of headers.reverse()) node = tree.add(header);
    return node;
  }

  #lie(client: EsploraClient, what: string): ChainError {
    return new ChainError('chain_invalid_data', `the Esplora server ${client.url} showed ${what}`);
  }

  /** Begins the tree: with a block some way below the tip, and those up to it. */
  #plant(headers: BlockHeader[], root: { header: BlockHeader; height: number }): HeaderNode {
    const tree = this.#tree as HeaderTree;
    let node = tree.addRoot(root.header, root.height);
    for (const header of headers.reverse()) node = tree.add(header);
    return node;
  }

  /** Adds the parent of the tree's root, from whichever server has it: it cannot be another. */
  async #deepen(tree: HeaderTree, first: EsploraClient): Promise<void> {
    const root = tree.root as HeaderNode;
    const trusted = this.#servers.filter((one) => !this.#distrusts(one)).map(({ client }) => client);
    // Who makes this necessary is asked first: it is its own time that it takes.
    for (const client of [first, ...trusted.filter((one) => one !== first)]) {
      const parent = await client.header(root.header.previousHash).catch(() => undefined);
      // Another branch may have needed it as well.
      if (tree.root !== root) return;
      if (parent === undefined) continue;
      tree.addRoot(parent, root.height - 1);
      return;
    }
    throw new ChainError('chain_unreachable', 'no Esplora server has the blocks below the last ones');
  }

  /** Follows the tip with the most work that any server has shown; what cannot be reached may have it still. */
  #choose(): void {
    const tree = this.#tree;
    const tips = this.#servers.map(({ tip }) => tip).filter((tip) => tip !== undefined);
    if (tree === undefined || tips.length === 0) {
      this.#report();
      return;
    }
    const most = (tips.toSorted((a, b) => (a.work < b.work ? 1 : -1))[0] as HeaderNode).work;
    const leaders = tips.filter(({ work }) => work === most);
    // Among equals, the one that came first stays.
    const best = leaders.find((tip) => tip === tree.best) ?? (leaders[0] as HeaderNode);
    if (best !== tree.best) tree.follow(best);
    if (this.#mostWork === undefined || best.work > this.#mostWork) this.#mostWork = best.work;
    this.#health.sawTip({ height: best.height, timeMs: best.header.time * 1000 });
    this.#report();
  }

  #stateOf({ tip, fault }: Server): { state: ChainState; detail: string } {
    const best = this.#tree?.best;
    switch (fault?.kind) {
      case 'unreachable':
        return { state: 'unreachable', detail: fault.error.message };
      case 'behind':
        return { state: 'behind', detail: fault.error.message };
      case 'lying':
        return { state: 'disagreeing', detail: fault.error.message };
      case undefined:
        break;
    }
    if (tip === undefined || best === undefined) return { state: 'behind', detail: 'it was not asked yet' };
    if (tip === best) return { state: 'ok', detail: 'it has the newest block' };
    if (this.#tree?.isActive(tip) === true) {
      const missing = best.height - tip.height;
      return { state: missing > fewBlocks ? 'behind' : 'ok', detail: `it is ${missing} blocks behind` };
    }
    const at = `${tip.height} (${bytesToHex(Uint8Array.from(tip.hash).reverse())})`;
    return { state: 'disagreeing', detail: `its block ${at} is not in the chain with the most work` };
  }

  #report(): void {
    for (const server of this.#servers) {
      const { state, detail } = this.#stateOf(server);
      const sinceMs = state === server.health.state ? server.health.sinceMs : this.#health.now();
      server.health = {
        url: server.client.url,
        state,
        sinceMs,
        tipHeight: server.tip?.height,
        tipTimeMs: server.tip === undefined ? undefined : server.tip.header.time * 1000,
        detail,
      };
    }
    const servers = this.#servers.map(({ health }) => health);
    this.#health.set({ ...this.#summary(servers), servers });
  }

  #summary(servers: readonly ServerHealth[]): { state: ChainState; detail: string } {
    const best = this.#tree?.best;
    const of = (state: ChainState) => servers.filter((server) => server.state === state);
    const names = (some: readonly ServerHealth[]) =>
      some.map(({ url, detail }) => `${url}: ${detail}`).join('; ');
    if (of('unreachable').length === servers.length) {
      return { state: 'unreachable', detail: names(servers) };
    }
    if (of('ok').length === 0) {
      const detail = `no server that can be reached has the chain with the most work: ${names(servers)}`;
      return { state: 'behind', detail };
    }
    if (best !== undefined && this.#mostWork !== undefined && best.work < this.#mostWork) {
      return { state: 'behind', detail: `fewer blocks are shown than before: ${best.height} is the newest` };
    }
    const disagreeing = of('disagreeing');
    if (disagreeing.length > 0) return { state: 'disagreeing', detail: names(disagreeing) };
    const away = [...of('unreachable'), ...of('behind')];
    if (away.length > 0) return { state: 'ok', detail: `some servers do not help: ${names(away)}` };
    return { state: 'ok', detail: servers.length === 1 ? 'the server answers' : 'all servers agree' };
  }

  /** Servers in the order in which they are asked: those with the best tip first. */
  #ranked(): Server[] {
    const rank = (server: Server): number => {
      if (server.fault !== undefined) return server.fault.kind === 'behind' ? 2 : 3;
      const best = this.#tree?.best;
      if (server.tip === undefined || server.tip === best) return 0;
      return this.#tree?.isActive(server.tip) === true ? 1 : Number.POSITIVE_INFINITY;
    };
    return this.#servers
      .filter((server) => !this.#distrusts(server))
      .map((server, index) => ({ server, index, rank: rank(server) }))
      .filter((one) => one.rank !== Number.POSITIVE_INFINITY)
      .sort((a, b) => a.rank - b.rank || a.index - b.index)
      .map(({ server }) => server);
  }

  /**
   * Asks one server after the other until one can answer. With `everywhere`, also until one knows it: for what
   * can be checked whoever says it.
   */
  async ask<T>(
    question: (client: EsploraClient, network: Network) => Promise<T | undefined>,
    { everywhere = false }: { everywhere?: boolean } = {},
  ): Promise<T | undefined> {
    let failure: ChainError | undefined;
    let answered = false;
    for (const server of this.#ranked()) {
      try {
        const network = await this.#checkNetwork(server);
        const answer = await question(server.client, network);
        if (server.fault?.kind === 'unreachable') {
          server.fault = undefined;
          this.#report();
        }
        answered = true;
        if (answer !== undefined || !everywhere) return answer;
      } catch (error) {
        failure ??= this.#failed(server, error);
      }
    }
    if (answered) return undefined;
    throw failure ?? this.#distrusted();
  }

  #distrusted(): ChainError {
    const message = 'no Esplora server that can be reached has the chain with the most work';
    return (
      this.#servers.find(({ fault }) => fault !== undefined)?.fault?.error ??
      new ChainError('chain_unreachable', message)
    );
  }

  /**
   * Tells all servers at once, and answers when one agrees. If none does, with the first answer in their order.
   * @throws ChainError when none answers
   */
  async tellAll<T>(
    message: (client: EsploraClient) => Promise<T>,
    agrees: (answer: T) => boolean,
  ): Promise<readonly T[]> {
    const told = this.#servers.map(async (server) => {
      try {
        await this.#checkNetwork(server);
        return { answer: await message(server.client) };
      } catch (error) {
        return { failure: this.#failed(server, error) };
      }
    });
    const agreed = told.map(async (one) => {
      const { answer } = await one;
      if (answer === undefined || !agrees(answer)) throw new ChainError('chain_server_error', 'not agreed');
      return [answer];
    });
    // When all have refused, their answers are what is wanted.
    const first = await Promise.any(agreed).catch(() => undefined);
    if (first !== undefined) return first;
    const all = await Promise.all(told);
    const answers = all.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
    if (answers.length > 0) return answers;
    throw all.find(({ failure }) => failure !== undefined)?.failure ?? this.#distrusted();
  }
}
