import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { initCrypto } from '@rivulet/core/crypto';
import { decodeTransaction, txid } from '@rivulet/core/tx';
import * as ldk from 'lightningdevkit';
import { KeyWallet } from './keyWallet.js';
import { eachBlock, LdkChainFeed } from './ldkChainFeed.js';
import { describeBalance, describeChannel } from './ldkChannels.js';
import { createPolicyUpdate, createUserConfig } from './ldkConfig.js';
import { LdkError } from './ldkError.js';
import { actOnEvents } from './ldkEventActions.js';
import { LdkEventLog, type LdkWait } from './ldkEventLog.js';
import { LdkGraph } from './ldkGraph.js';
import { readNetworkGraph } from './ldkGraphReading.js';
import { createInvoice, describeInvoice, parseInvoice } from './ldkInvoices.js';
import { LdkLog } from './ldkLog.js';
import type {
  LdkAnnounceNode,
  LdkCreateInvoice,
  LdkForwardingPolicy,
  LdkInvoice,
  LdkNetworkGraph,
  LdkPayInvoice,
  LdkProbe,
} from './ldkNetworkTypes.js';
import { LdkOutputs } from './ldkOutputs.js';
import type { LdkAddress, LdkPeer } from './ldkPeer.js';
import { LdkRun } from './ldkRun.js';
import { createUserChannelId, featureBits, loadLdk, refusal } from './ldkRuntime.js';
import { sendMany, sendProbes, startInvoicePayment, startKeysend } from './ldkSending.js';
import { JournalLdkStore, type LdkStore, MemoryLdkStore } from './ldkStore.js';
import type {
  LdkBlock,
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
import { LdkUtxos } from './ldkUtxos.js';

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
  readonly #utxos = new LdkUtxos();
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
    await eachBlock(context.chain, (block) => node.#learnBlock(block));
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

  async openChannel(channel: LdkOpenChannel): Promise<LdkOpenedChannel> {
    const { pubkey, capacitySat, pushMsat = 0n, announced = false } = channel;
    const config = createUserConfig(this.#context.options, { announced });
    const userChannelId = createUserChannelId();
    const { manager } = this.#run.parts;
    const result = this.#run.enter(() =>
      manager.create_channel(pubkey, capacitySat, pushMsat, userChannelId, null, config),
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

  async setForwardingPolicy(
    { channelId, pubkey }: LdkChannelRef,
    policy: Partial<LdkForwardingPolicy>,
  ): Promise<void> {
    const { manager } = this.#run.parts;
    const ids = [ldk.ChannelId.constructor_new(channelId)];
    const update = createPolicyUpdate(policy);
    const result = this.#run.enter(() => manager.update_partial_channel_config(pubkey, ids, update));
    if (!result.is_ok()) throw refusal('change what it asks for forwarding', result);
  }

  async announceNode({ alias, rgb = new Uint8Array(3), withAddress }: LdkAnnounceNode): Promise<void> {
    const name = new TextEncoder().encode(alias);
    if (name.length > 32) throw new LdkError('ldk_refused', `an alias has 32 bytes at most, not ${alias}`);
    const padded = new Uint8Array(32);
    padded.set(name);
    const host = Uint8Array.of(127, 0, 0, 1);
    const addresses = withAddress ? [ldk.SocketAddress.constructor_tcp_ip_v4(host, this.#port)] : [];
    this.#run.enter(() => this.#run.parts.peerManager.broadcast_node_announcement(rgb, padded, addresses));
  }

  async graph(): Promise<LdkNetworkGraph> {
    return readNetworkGraph(this.#graph.graph);
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

  async createInvoice(invoice: LdkCreateInvoice): Promise<LdkInvoice> {
    return this.#run.enter(() => createInvoice(this.#run.parts.manager, invoice));
  }

  async decodeInvoice(text: string): Promise<LdkInvoice> {
    return describeInvoice(parseInvoice(text));
  }

  async startInvoicePayment(payment: LdkPayInvoice): Promise<Uint8Array> {
    return this.#run.enter(() => startInvoicePayment(this.#run.parts.manager, payment));
  }

  async payInvoice(payment: LdkPayInvoice, wait?: Partial<LdkWait>): Promise<LdkSentPayment> {
    return this.log.settlement(await this.startInvoicePayment(payment), wait);
  }

  async sendProbes(probe: LdkProbe): Promise<Uint8Array[]> {
    return this.#run.enter(() => sendProbes(this.#run.parts.manager, probe));
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
      utxos: (options.checkAnnouncements ?? true) ? this.#utxos : undefined,
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
    const { manager, chainMonitor, gossip, fromHeight } = run.parts;
    const targets = {
      confirms: [manager.as_Confirm(), chainMonitor.as_Confirm()],
      onBlock: (block: LdkBlock) => {
        this.#learnBlock(block);
        this.#utxos.resolveWaiting(this.#graph.graph, gossip);
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
    this.#utxos.forgetWaiting();
    this.#store.close();
  }

  #learnBlock(block: LdkBlock): void {
    this.#wallet.addBlock(block);
    this.#utxos.addBlock(block);
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
      eventPaths: this.#context.options.eventPaths ?? true,
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
