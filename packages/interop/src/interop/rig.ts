import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressToScript, type Regtest, startRegtest } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { InteropChain } from '../ldk/interopChain.js';
import { LdkNode } from '../ldk/ldkNode.js';
import type { LdkPeer } from '../ldk/ldkPeer.js';
import { LdkProcess } from '../ldk/ldkProcess.js';
import type { LdkNodeOptions } from '../ldk/ldkTypes.js';
import { LdkChainView } from './ldkChainView.js';
import { RivuletDaemon, type RivuletDaemonOptions } from './rivuletDaemon.js';
import { RivuletHere } from './rivuletHere.js';
import type { RivuletOptions, RivuletPeer } from './rivuletPeer.js';
import { RivuletProcess } from './rivuletProcess.js';
import { RivuletTower } from './rivuletTower.js';
import { type ChangeSource, type Found, waitUntil } from './waitUntil.js';

/** The types of channel that both implementations have. */
export type InteropChannelType = 'anchors' | 'static_remotekey';

/** A chain, and the nodes of a case that live on it. */
export class Rig {
  readonly chain: InteropChain;
  readonly channelType: InteropChannelType;
  readonly folder = mkdtempSync(join(tmpdir(), 'rivulet-interop-'));
  readonly #regtest: Regtest;
  readonly #rivulets: RivuletPeer[] = [];
  readonly #ldks: LdkPeer[] = [];
  readonly #towers: RivuletTower[] = [];
  readonly #chainViews = new Map<LdkPeer, LdkChainView>();

  private constructor(regtest: Regtest, channelType: InteropChannelType) {
    this.#regtest = regtest;
    this.chain = new InteropChain(regtest.chain);
    this.channelType = channelType;
  }

  static async create(channelType: InteropChannelType): Promise<Rig> {
    return new Rig(await startRegtest(), channelType);
  }

  async startRivulet(options: Partial<RivuletOptions> = {}): Promise<RivuletHere> {
    const rivulet = await RivuletHere.start(this.chain.regtest, { seed: this.#rivuletSeed(), ...options });
    this.#rivulets.push(rivulet);
    return rivulet;
  }

  /** In a process of its own, which can be killed. */
  async startRivuletProcess(options: Partial<RivuletOptions> = {}): Promise<RivuletProcess> {
    const rivulet = await RivuletProcess.start({
      seed: this.#rivuletSeed(),
      dataDir: join(this.folder, `rivulet-${this.#rivulets.length}`),
      rpc: this.#rpc,
      ...options,
    });
    this.#rivulets.push(rivulet);
    return rivulet;
  }

  /** `rivulet up`, with backups, copies of its database and towers. */
  async startRivuletDaemon(options: Partial<RivuletDaemonOptions> = {}): Promise<RivuletDaemon> {
    const daemon = await RivuletDaemon.start({
      dataDir: join(this.folder, `daemon-${this.#rivulets.length}`),
      rpc: this.#rpc,
      ...options,
    });
    this.#rivulets.push(daemon);
    return daemon;
  }

  /** `rivulet tower`. */
  async startTower(): Promise<RivuletTower> {
    const dataDir = join(this.folder, `tower-${this.#towers.length}`);
    const tower = await RivuletTower.start({ dataDir, rpc: this.#rpc });
    this.#towers.push(tower);
    return tower;
  }

  get #rpc() {
    const { rpcUrl, rpcUser, rpcPassword } = this.#regtest;
    return { url: rpcUrl, user: rpcUser, password: rpcPassword };
  }

  async startLdk(options: Partial<LdkNodeOptions> = {}): Promise<LdkPeer> {
    const { chain, channelType } = this;
    const view = new LdkChainView(chain.ldk);
    const ldk = await LdkNode.start({
      options: { seed: this.#ldkSeed(), channelType, ...options },
      chain: view,
      fund: chain.fund,
    });
    this.#ldks.push(ldk);
    this.#chainViews.set(ldk, view);
    return ldk;
  }

  /** In a process of its own, which can be killed. */
  async startLdkProcess(options: Partial<LdkNodeOptions> = {}): Promise<LdkPeer> {
    const { chain, channelType } = this;
    const dataDir = join(this.folder, `ldk-${this.#ldks.length}`);
    const ldk = await LdkProcess.start({
      options: { seed: this.#ldkSeed(), dataDir, channelType, ...options },
      chain: chain.ldk,
      fund: chain.fund,
    });
    this.#ldks.push(ldk);
    return ldk;
  }

  /** Keeps an LDK node of this process from hearing of new blocks. */
  async holdChainOf(ldk: LdkPeer): Promise<void> {
    await this.#chainViews.get(ldk)?.hold();
  }

  #rivuletSeed(): Uint8Array {
    return new Uint8Array(64).fill(0x51 + this.#rivulets.length);
  }

  #ldkSeed(): Uint8Array {
    return new Uint8Array(32).fill(0x11 + this.#ldks.length);
  }

  /** Of all nodes that were started, in hex. */
  get nodeIds(): string[] {
    return [
      ...this.#rivulets.map(({ nodeId }) => nodeId),
      ...this.#ldks.map(({ pubkey }) => bytesToHex(pubkey)),
    ];
  }

  /** Waits for something that any of the nodes may bring about. */
  until<T>(
    what: string,
    check: () => T | Promise<T>,
    { timeoutMs = 30_000 }: { timeoutMs?: number } = {},
  ): Promise<Found<T>> {
    const sources: ChangeSource[] = [...this.#rivulets, ...this.#ldks.map(({ log }) => log)];
    return waitUntil({ what, check, sources, timeoutMs, context: () => this.story() });
  }

  /** What the nodes wrote to their logs, the newest lines. */
  async story(): Promise<string> {
    const parts: string[] = [];
    for (const rivulet of this.#rivulets) parts.push('  Rivulet:', ...rivulet.logLines.slice(-15));
    for (const ldk of this.#ldks) {
      const lines = await ldk.logLines().catch((error: Error) => [error.message]);
      parts.push('  LDK:', ...lines.slice(-10));
    }
    return parts.join('\n');
  }

  /** Mines blocks, and waits until all nodes know them. */
  async mine(blocks = 1): Promise<void> {
    this.chain.mine(blocks);
    await this.synced();
  }

  async synced(): Promise<void> {
    const { height } = this.chain;
    for (const ldk of this.#ldks) await ldk.sync();
    await this.until(`all nodes at block ${height}`, async () => {
      for (const { api } of this.#rivulets) if ((await api.info({})).blockHeight !== height) return false;
      return true;
    });
  }

  /** Mines one block after the other, so that each node can answer each, until `check` holds. */
  async mineUntil(
    what: string,
    check: () => boolean | Promise<boolean>,
    { limit = 400 }: { limit?: number } = {},
  ): Promise<void> {
    for (let blocks = 0; !(await check()); blocks++) {
      if (blocks === limit) throw new Error(`${what}: not within ${limit} blocks\n${await this.story()}`);
      await this.mine(1);
    }
  }

  /** Coins for both kinds of nodes: to open channels, and to pay for closing them. */
  async fund(rivulet: RivuletPeer, ldk: LdkPeer, { rivuletSat = 10_000_000n } = {}): Promise<void> {
    const { address } = await rivulet.api.newAddress({});
    this.chain.pay(addressToScript(address, 'regtest'), rivuletSat);
    for (let i = 0; i < 3; i++) this.chain.pay(ldk.walletScript, 1_000_000n);
    await this.mine(1);
  }

  async stop(): Promise<void> {
    const stops = [...this.#rivulets, ...this.#towers, ...this.#ldks].map((node) => node.stop());
    await Promise.allSettled(stops);
    await this.#regtest.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
