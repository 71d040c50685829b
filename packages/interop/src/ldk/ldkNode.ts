import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { initCrypto } from '@rivulet/core/crypto';
import { decodeTransaction, txid } from '@rivulet/core/tx';
import * as ldk from 'lightningdevkit';
import { KeyWallet } from './keyWallet.js';
import { eachBlock, LdkChainFeed } from './ldkChainFeed.js';
import { describeBalance, describeChannel } from './ldkChannels.js';
import { LdkError } from './ldkError.js';
import { actOnEvents } from './ldkEventActions.js';
import { LdkEventLog, type LdkWait } from './ldkEventLog.js';
import { LdkGraph } from './ldkGraph.js';
import { LdkLog } from './ldkLog.js';
import { LdkOutputs } from './ldkOutputs.js';
import type { LdkAddress, LdkPeer } from './ldkPeer.js';
import { LdkRun } from './ldkRun.js';
import { createUserChannelId, featureBits, loadLdk, refusal } from './ldkRuntime.js';
import { sendMany, startKeysend } from './ldkSending.js';
import { JournalLdkStore, type LdkStore, MemoryLdkStore } from './ldkStore.js';
import type {
  LdkChain,
  LdkChannel,
  LdkChannelRef,
  LdkClaimableBalance,
  LdkFund,
  LdkKeysend,
  LdkNodeOptions,
  LdkOpenChannel,
  LdkOpenedChannel,
  LdkPeerInfo,
  LdkReceivePolicy,
  LdkSendMany,
  LdkSendManyResult,
  LdkSentPayment,
} from './ldkTypes.js';

export interface LdkNodeContext {
  options: LdkNodeOptions;
  chain: LdkChain;
  /** Pays for the channels that this node opens. */
  fund: LdkFund;
}

/** An LDK node in this process. */
export class LdkNode implements LdkPeer {
  readonly log: LdkEventLog;
  readonly #context: LdkNodeContext;
  readonly #ldkLog: LdkLog;
  readonly #wallet: KeyWallet;
  #store: LdkStore;
  readonly #outputs: LdkOutputs;
  readonly #logger: ldk.Logger;
  readonly #graph: LdkGraph;
  #policy: LdkReceivePolicy;
  #feeratePerKw: number;
  #running: { run: LdkRun; feed: LdkChainFeed; unsubscribe: () => void } | undefined;
  readonly #broadcasts = new Set<Promise<void>>();
  #pubkey: Uint8Array = new Uint8Array(33);
  #port: number;

  private constructor(context: LdkNodeContext) {
    const { options } = context;
    this.#context = context;
    this.#ldkLog = new LdkLog(options.logLevel);
    this.log = new LdkEventLog({
      ...(options.eventHistory !== undefined && { limit: options.eventHistory }),
      context: () => this.#ldkLog.lines.slice(-15).join('\n'),
    });
    this.#wallet = new KeyWallet(options.seed);
    this.#logger = this.#ldkLog.asLogger();
    this.#graph = new LdkGraph(this.#logger);
    this.#store = new MemoryLdkStore();
    this.#outputs = new LdkOutputs(this.#store);
    this.#policy = options.receivePolicy ?? 'claim';
    this.#feeratePerKw = options.feeratePerKw ?? 253;
    this.#port = options.port ?? 0;
  }

  /** Starts a node, from what its folder holds if there is anything. */
  static async start(context: LdkNodeContext): Promise<LdkNode> {
    await Promise.all([loadLdk(), initCrypto()]);
    const node = new LdkNode(context);
    await eachBlock(context.chain, (block) => node.#wallet.addBlock(block));
    await node.#begin();
    return node;
  }

  get pubkey(): Uint8Array {
    return this.#pubkey;
  }

  get port(): number {
    return this.#port;
  }

  get walletScript(): Uint8Array {
    return this.#wallet.script;
  }

  get #run(): LdkRun {
    if (!this.#running) throw new LdkError('ldk_not_running', 'the LDK node is not running');
    return this.#running.run;
  }

  async connect({ pubkey, host = '127.0.0.1', port }: LdkAddress): Promise<void> {
    const isConnected = async () => (await this.peers()).some((peer) => equalBytes(peer.pubkey, pubkey));
    if (await isConnected()) return;
    await this.#run.net.connect({ pubkey, host, port });
    await this.log.waitFor(isConnected, { what: `init exchanged with ${bytesToHex(pubkey)}` });
  }

  async disconnect(pubkey: Uint8Array): Promise<void> {
    this.#run.enter(() => this.#run.parts.peerManager.disconnect_by_node_id(pubkey));
  }

  async peers(): Promise<LdkPeerInfo[]> {
    return this.#run.parts.peerManager.list_peers().map((peer) => ({
      pubkey: peer.get_counterparty_node_id(),
      features: featureBits(peer.get_init_features().le_flags()),
    }));
  }

  async openChannel({ pubkey, capacitySat, pushMsat = 0n }: LdkOpenChannel): Promise<LdkOpenedChannel> {
    const userChannelId = createUserChannelId();
    const { manager } = this.#run.parts;
    const result = this.#run.enter(() =>
      manager.create_channel(pubkey, capacitySat, pushMsat, userChannelId, null, null),
    );
    if (!result.is_ok()) throw refusal('open the channel', result);
    const event = await this.log.waitFor(
      () =>
        this.log.events.find(
          (each) =>
            (each.type === 'channelPending' ||
              each.type === 'channelClosed' ||
              each.type === 'fundingFailed') &&
            each.userChannelId === userChannelId,
        ),
      { what: 'channel negotiated and funded' },
    );
    if (event.type !== 'channelPending') {
      const reason = event.type === 'channelClosed' || event.type === 'fundingFailed' ? event.reason : '';
      throw new LdkError('ldk_refused', `the channel was not opened: ${reason}`);
    }
    const { channelId, fundingTxid, fundingIndex } = event;
    return { channelId, fundingTxid, fundingIndex };
  }

  async channels(): Promise<LdkChannel[]> {
    return this.#run.parts.manager.list_channels().map(describeChannel);
  }

  async closeChannel({ channelId, pubkey }: LdkChannelRef): Promise<void> {
    const { manager } = this.#run.parts;
    const result = this.#run.enter(() =>
      manager.close_channel(ldk.ChannelId.constructor_new(channelId), pubkey),
    );
    if (!result.is_ok()) throw refusal('close the channel', result);
  }

  async forceClose({ channelId, pubkey }: LdkChannelRef): Promise<void> {
    const { manager } = this.#run.parts;
    const id = ldk.ChannelId.constructor_new(channelId);
    const result = this.#run.enter(() =>
      manager.force_close_broadcasting_latest_txn(id, pubkey, 'asked to force close'),
    );
    if (!result.is_ok()) throw refusal('force close the channel', result);
  }

  async balances(): Promise<LdkClaimableBalance[]> {
    return this.#run.parts.chainMonitor.get_claimable_balances([]).map(describeBalance);
  }

  async startKeysend(payment: LdkKeysend): Promise<Uint8Array> {
    return this.#run.enter(() => startKeysend(this.#run.parts.manager, payment));
  }

  async sendKeysend(payment: LdkKeysend, wait?: Partial<LdkWait>): Promise<LdkSentPayment> {
    return this.log.settlement(await this.startKeysend(payment), wait);
  }

  async sendMany(request: LdkSendMany): Promise<LdkSendManyResult> {
    const run = this.#run;
    return sendMany({
      manager: run.parts.manager,
      log: this.log,
      request,
      afterStart: () => run.schedulePump(),
    });
  }

  async setReceivePolicy(policy: LdkReceivePolicy): Promise<void> {
    this.#policy = policy;
  }

  async claimPayment(preimage: Uint8Array): Promise<void> {
    this.#run.enter(() => this.#run.parts.manager.claim_funds_with_known_custom_tlvs(preimage));
  }

  async failPayment(paymentHash: Uint8Array): Promise<void> {
    this.#run.enter(() => this.#run.parts.manager.fail_htlc_backwards(paymentHash));
  }

  async setFeerate(feeratePerKw: number): Promise<void> {
    this.#feeratePerKw = feeratePerKw;
  }

  async timerTick(): Promise<void> {
    this.#run.enter(() => this.#run.timerTick());
  }

  async sync(): Promise<number> {
    const feed = this.#running?.feed;
    if (!feed) throw new LdkError('ldk_not_running', 'the LDK node is not running');
    const run = this.#run;
    await feed.sync();
    await run.rest();
    for (let pending = this.#broadcasts; pending.size > 0; ) await Promise.all(pending);
    return feed.height;
  }

  async sweep(script: Uint8Array): Promise<Uint8Array | undefined> {
    const { keys } = this.#run.parts;
    const tx = this.#outputs.spend({ keys, script, feeratePerKw: this.#feeratePerKw });
    if (tx) await this.#broadcast([tx]);
    return tx;
  }

  async walletBalanceSat(): Promise<bigint> {
    return this.#wallet.balanceSat;
  }

  async logLines(): Promise<string[]> {
    return [...this.#ldkLog.lines];
  }

  async rssBytes(): Promise<number> {
    return process.memoryUsage.rss();
  }

  async restart({ crash = false }: { crash?: boolean } = {}): Promise<void> {
    this.#end({ crash });
    await this.#begin();
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#end({ crash: false });
    this.#graph.free();
  }

  async #begin(): Promise<void> {
    const { chain, options } = this.#context;
    let journal: JournalLdkStore | undefined;
    if (options.dataDir) {
      // In step with the manager where that is always written; else as LDK's own persisters do it.
      const commitEach = (options.managerPersistence ?? 'always') !== 'always';
      journal = new JournalLdkStore(options.dataDir, { commitEach });
      this.#store = journal;
      this.#outputs.useStore(journal);
    }
    const context = {
      options,
      store: this.#store,
      wallet: this.#wallet,
      logger: this.#logger,
      routing: this.#graph,
      tip: await chain.tip(),
      feeratePerKw: () => this.#feeratePerKw,
      broadcast: (transactions: readonly Uint8Array[]) => {
        const broadcast = this.#broadcast(transactions).finally(() => this.#broadcasts.delete(broadcast));
        this.#broadcasts.add(broadcast);
      },
    };
    const run = new LdkRun(context, {
      onEvents: (events) => this.#onEvents(events),
      onPeersChanged: () => this.log.emit({ type: 'peers' }),
      onChanged: () => this.log.touch(),
    });
    journal?.releaseMemory();
    const { manager, chainMonitor, fromHeight } = run.parts;
    const targets = {
      confirms: [manager.as_Confirm(), chainMonitor.as_Confirm()],
      onBlock: (block: Parameters<KeyWallet['addBlock']>[0]) => {
        this.#wallet.addBlock(block);
        run.schedulePump();
        this.log.emit({ type: 'block', height: block.height });
      },
    };
    const feed = new LdkChainFeed(chain, targets, fromHeight);
    this.#pubkey = manager.get_our_node_id();
    await feed.catchUp();
    // A tip that changes faster than blocks can be read ends in the next call, which begins anew.
    const unsubscribe = chain.onTip(() => void feed.sync().catch(() => undefined));
    this.#running = { run, feed, unsubscribe };
    this.#port = await run.net.listen(this.#port);
    await feed.sync();
    run.schedulePump();
  }

  #end(how: { crash: boolean }): void {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.unsubscribe();
    running.feed.stop();
    running.run.stop(how);
    this.#store.close();
  }

  #onEvents(events: readonly ldk.Event[]): void {
    const running = this.#running;
    if (!running) return;
    actOnEvents(events, {
      run: running.run,
      log: this.log,
      outputs: this.#outputs,
      fund: this.#context.fund,
      policy: this.#policy,
      acceptChannels: this.#context.options.acceptChannels ?? true,
    });
  }

  async #broadcast(transactions: readonly Uint8Array[]): Promise<void> {
    const txids = transactions.map((raw) => txid(decodeTransaction(raw)));
    try {
      await this.#context.chain.broadcast(transactions);
      this.log.emit({ type: 'broadcast', txids });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.log.emit({ type: 'broadcastRefused', txids, reason });
    }
  }
}
