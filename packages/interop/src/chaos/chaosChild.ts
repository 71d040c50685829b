import { join } from 'node:path';
import { bitcoindBackend, type ChainBackend, esploraBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import { initCrypto } from '@rivulet/core/crypto';
import { txidToHex } from '@rivulet/core/tx';
import {
  checkInvariants,
  createLogger,
  createService,
  defaultPaymentPolicy,
  RivuletNode,
} from '@rivulet/node';
import type { NodeService, Payment } from '@rivulet/sdk';
import { openGossipStore, openStorage } from '@rivulet/storage';
import { LdkError } from '../ldk/ldkError.js';
import { LdkIpc } from '../ldk/ldkIpc.js';
import type {
  ChannelFacts,
  ChaosChildMethods,
  ChaosChildNotes,
  ChaosChildOptions,
  ChaosNodeBooks,
  ChaosNodeState,
} from './chaosChildProtocol.js';
import { FaultyStorage } from './faultyStorage.js';

/** Short, so that what is closed by force comes back while somebody watches. */
const toSelfDelay = 20;
const lastHour = 1_000_000_000;

interface Host {
  readonly node: RivuletNode;
  readonly service: NodeService;
  readonly faulty: FaultyStorage;
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('a killed process goes on');
}

function backendOf({ chain }: ChaosChildOptions): ChainBackend {
  if (chain.kind === 'esplora') return esploraBackend({ url: chain.url, timeoutMs: 8_000, pollMs: 150 });
  return bitcoindBackend({ ...chain, timeoutMs: 8_000, longPollMs: 5_000 });
}

/** Runs a node as the child of a ChaosProcess, with its storage on disk as in production. */
function main(): void {
  let host: Host | undefined;
  let aheadMs = 0;
  const current = (): Host => {
    if (host === undefined) throw new LdkError('ldk_not_running', 'the node has not been started');
    return host;
  };
  const note = <Name extends keyof ChaosChildNotes>(name: Name, value: ChaosChildNotes[Name]) =>
    ipc.note(name, value);

  const methods: ChaosChildMethods = {
    async start(options) {
      aheadMs = options.aheadMs;
      await initCrypto();
      const path = join(options.dataDir, 'rivulet.db');
      const logger = createLogger({ level: 'info', to: { file: join(options.dataDir, 'log') } });
      const faulty = new FaultyStorage({
        inner: openStorage({ path }),
        path,
        die,
        onFault: (fault) => note('storageFault', fault),
      });
      const node = new RivuletNode({
        network: 'regtest',
        seed: options.seed,
        storage: faulty.storage,
        gossipStore: openGossipStore({
          path: join(options.dataDir, 'gossip.sqlite'),
          warn: (message) => logger.warn({}, message),
        }),
        backend: backendOf(options),
        now: () => Date.now() + aheadMs,
        policy: {
          receive: { acceptKeysend: true, minAmountMsat: 1n },
          limits: { ...defaultOpeningLimits, toSelfDelay },
          accept: defaultAcceptPolicy,
          maxDustExposureMsat: 50_000_000n,
          anchors: true,
          ...defaultPaymentPolicy,
          gossip: { ...defaultPaymentPolicy.gossip, limits: { relayIntervalMs: 200 } },
        },
        logger,
      });
      node.on('invoiceHeld', ({ paymentHash }) => note('held', bytesToHex(paymentHash)));
      await node.start({ listen: { host: '127.0.0.1', port: options.port } });
      const service = createService({ node, alias: 'chaos', version: '0', onStop: () => {} });
      host = { node, service, faulty };
      return { nodeId: node.nodeId, port: node.listening[0]?.port ?? 0 };
    },
    async api(name, request) {
      const call = current().service[name as keyof NodeService] as (request: unknown) => Promise<unknown>;
      return call(request);
    },
    async arm(fault) {
      current().faulty.arm(fault);
    },
    async setClock(ms) {
      aheadMs = ms;
    },
    height: async () => current().node.blockHeight,
    state: async ({ check }) => stateOf(current(), check),
    books: async () => booksOf(current()),
    async halt() {
      await current().node.stop();
    },
  };

  const ipc = new LdkIpc((message) => process.send?.(message), {
    async call(method, args) {
      if (!Object.hasOwn(methods, method)) throw new LdkError('ldk_refused', `there is no method ${method}`);
      return (methods[method as keyof ChaosChildMethods] as (...args: readonly unknown[]) => unknown)(
        ...args,
      );
    },
    note() {},
  });
  process.on('message', (message) => ipc.receive(message));
  process.on('disconnect', () => process.exit(0));
}

function stateOf({ node }: Host, check: boolean): ChaosNodeState {
  const { user, system } = process.cpuUsage();
  const { confirmedSat, unconfirmedSat } = node.wallet.balance();
  return {
    blockHeight: node.blockHeight,
    synced: node.synced,
    channels: node.channels.map(channelFacts),
    stopped: [...node.turns.stopped],
    ...(check ? { broken: brokenIn(node) } : {}),
    sendings: node.storage.loadSendings().length,
    forwards: node.storage.loadForwards().length,
    onchain: { confirmedSat, unconfirmedSat },
    peers: node.peers.peers.map(({ nodeId }) => nodeId),
    rssBytes: process.memoryUsage.rss(),
    cpuMs: (user + system) / 1000,
  };
}

function brokenIn(node: RivuletNode): string[] {
  return checkInvariants(node.checkedState).map(
    ({ code, message, channelId = '' }) => `${code} ${channelId}: ${message}`,
  );
}

function channelFacts(channel: Channel): ChannelFacts {
  const { params, phase, link, shutdown, localMsat, remoteMsat, htlcs } = channel;
  const shuttingDown = shutdown.localScript !== undefined || shutdown.remoteScript !== undefined;
  return {
    channelId: bytesToHex(params.channelId),
    remoteNodeId: bytesToHex(params.remoteNodeId),
    localIsOpener: params.localIsOpener,
    anchors: params.format.commitment === 'anchors',
    fundingTxidHex: txidToHex(params.fundingOutpoint.txid),
    fundingOutputIndex: params.fundingOutpoint.index,
    fundingSat: params.fundingSat,
    pushMsat: params.pushMsat,
    phase: phase.name,
    link,
    ...(phase.name === 'failed' ? { error: `${phase.error.code}: ${phase.error.message}` } : {}),
    usable: phase.name === 'open' && link === 'online' && !shuttingDown,
    shuttingDown,
    localMsat,
    remoteMsat,
    htlcs: htlcs.size,
    feeratesPerKw: [channel.fee.feeratePerKw, ...channel.fee.updates.map((update) => update.feeratePerKw)],
  };
}

function booksOf({ node, service }: Host): Promise<ChaosNodeBooks> {
  return allPayments(service).then((payments) => ({
    payments,
    forwardFeeMsat: node.storage
      .listForwardTotals({ fromHour: 0, toHour: lastHour })
      .reduce((sum, { feeMsat }) => sum + feeMsat, 0n),
    walletScripts: node.wallet.scripts().map(bytesToHex),
    walletCoins: node.wallet.spendableCoins().map(({ outpoint, valueSat }) => ({
      outpoint: `${txidToHex(outpoint.txid)}:${outpoint.index}`,
      valueSat,
    })),
    integrity: node.storage.integrityCheck(),
  }));
}

async function allPayments(service: NodeService): Promise<readonly Payment[]> {
  const all: Payment[] = [];
  let before: number | undefined;
  do {
    const page = await service.payments({ limit: 1_000, ...(before === undefined ? {} : { before }) });
    all.push(...page.payments);
    before = page.next;
  } while (before !== undefined);
  return all;
}

main();
