import { addressToScript } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { activeBackendName } from '@rivulet/core/crypto';
import { txidToHex } from '@rivulet/core/tx';
import {
  type ChannelInfo,
  type NodeEvent,
  type NodeService,
  type RequestOf,
  type ResponseOf,
  ServiceError,
} from '@rivulet/sdk';
import type { IncomingPayment, Listed, ListedInvoice, OutgoingPayment } from '@rivulet/storage';
import { type HealthSources, healthReport } from '../health/index.js';
import type { PeerInfo } from '../peers/index.js';
import {
  describeChannel,
  describeHeldKeysend,
  describeInvoice,
  describePayment,
  isUsable,
  pendingMsat,
} from './describe.js';
import type { RivuletNode } from './node.js';
import type { WaitingKeysend } from './payments/receiver.js';
import { abandonmentService } from './serviceAbandonment.js';
import { checkOtherNode } from './serviceChecks.js';
import { type KeysendPolicyService, keysendService } from './serviceKeysends.js';
import { paymentService } from './servicePayments.js';
import { routingService } from './serviceRouting.js';
import { type TowerServices, towerService } from './serviceTowers.js';
import { walletService } from './serviceWallet.js';

/** Mines blocks; only where the chain is a regtest one that lets us. */
export type Miner = (request: {
  blocks: number;
  address: string;
}) => Promise<{ height: number; blockHashes: string[] }>;

export interface ServiceOptions {
  readonly node: RivuletNode;
  readonly alias: string;
  readonly version: string;
  readonly mine?: Miner;
  readonly towers?: TowerServices;
  readonly health?: HealthSources;
  readonly keysendPolicy?: KeysendPolicyService;
  /** Shuts the daemon down; called after the answer to `stop` was given. */
  readonly onStop: () => void;
}

/** What stands behind the API of a node. */
export function createService(options: ServiceOptions): NodeService {
  const { node, alias, version, mine, onStop, towers = {}, health = {}, keysendPolicy } = options;
  const peerOf = async (request: { nodeId: string; host?: string; port?: number }): Promise<PeerInfo> => {
    checkOtherNode(node, request.nodeId);
    const connected = node.peers.getPeer(request.nodeId);
    if (connected !== undefined) return connected;
    if (request.host === undefined || request.port === undefined) {
      throw new ServiceError(
        'unknown_peer',
        'this node is not connected: give its address as well (node@host:port), or connect to it first',
      );
    }
    return node.peers.connect({ nodeId: request.nodeId, host: request.host, port: request.port });
  };

  return {
    info: async () => info(node, { alias, version }),
    health: async () => healthReport(node, health),
    connect: async (request) => {
      const peer = await peerOf(request);
      return { nodeId: peer.nodeId, inbound: peer.inbound, features: bytesToHex(peer.remoteInit.features) };
    },
    disconnect: async ({ nodeId }) => ({ disconnected: node.peers.disconnect(nodeId) }),
    peers: async () => ({ peers: node.peers.peers.map((peer) => describePeer(node, peer)) }),
    openChannel: async (request) => openChannel(node, { request, peer: await peerOf(request) }),
    closeChannel: async (request) => closeChannel(node, request),
    channels: async () => ({ channels: node.channels.map((channel) => withTerms(node, channel)) }),
    newAddress: async () => ({ address: node.wallet.newAddress().address }),
    descriptors: async () => ({ descriptors: node.wallet.descriptors() }),
    balance: async () => balance(node),
    ...paymentService(node),
    ...keysendService(node, keysendPolicy),
    ...routingService(node),
    ...walletService(node),
    ...abandonmentService(node),
    ...towerService(towers),
    mine: async ({ blocks, address }) => {
      if (mine === undefined) {
        throw new ServiceError('regtest_only', 'blocks can be mined on a regtest chain with its RPC only');
      }
      return mine({ blocks, address: address ?? node.wallet.newAddress().address });
    },
    stop: async () => {
      setImmediate(onStop);
      return {};
    },
    subscribe: (listener) => subscribe(node, listener),
  };
}

function info(node: RivuletNode, { alias, version }: { alias: string; version: string }): ResponseOf<'info'> {
  const channels = node.channels;
  const count = (...states: Channel['phase']['name'][]) =>
    channels.filter(({ phase }) => states.includes(phase.name)).length;
  const { acceptKeysend, minAmountMsat } = node.policy.receive;
  return {
    nodeId: node.nodeId,
    alias,
    version,
    network: node.network,
    blockHeight: node.blockHeight,
    blockHash: bytesToHex((node.storage.getTip()?.hash ?? new Uint8Array(32)).toReversed()),
    synced: node.synced,
    crypto: activeBackendName(),
    listening: [...node.listening],
    peers: node.peers.peers.length,
    channels: {
      usable: channels.filter(isUsable).length,
      open: count('open'),
      pending: count('awaiting_ready'),
      closing: count('closing', 'failed', 'stale', 'spent'),
    },
    keysend: { accept: acceptKeysend, minAmountMsat },
  };
}

function describePeer(node: RivuletNode, peer: PeerInfo): ResponseOf<'peers'>['peers'][number] {
  const channels = node.channels.filter(
    ({ params, phase }) => bytesToHex(params.remoteNodeId) === peer.nodeId && phase.name !== 'closed',
  );
  return {
    nodeId: peer.nodeId,
    ...peer.address,
    inbound: peer.inbound,
    features: bytesToHex(peer.remoteInit.features),
    channels: channels.length,
  };
}

async function openChannel(
  node: RivuletNode,
  { request, peer }: { request: RequestOf<'openChannel'>; peer: PeerInfo },
): Promise<ResponseOf<'openChannel'>> {
  if (!node.synced)
    throw new ServiceError('chain_not_synced', 'the chain is still being read; try again soon');
  const channel = await node.openChannel({
    peer,
    capacitySat: request.capacitySat,
    pushMsat: (request.pushSat ?? 0n) * 1000n,
    ...(request.announce === undefined ? {} : { announce: request.announce }),
    ...(request.channelType === undefined ? {} : { commitment: request.channelType }),
    ...(request.feeratePerKw === undefined ? {} : { fundingFeeratePerKw: request.feeratePerKw }),
  });
  const { params, phase } = channel;
  return {
    channelId: bytesToHex(params.channelId),
    fundingTxidHex: txidToHex(params.fundingOutpoint.txid),
    fundingOutputIndex: params.fundingOutpoint.index,
    state: phase.name,
    minimumDepth: params.minimumDepth,
  };
}

/** A channel with our terms for what others send through it, while they are of use. */
function withTerms(node: RivuletNode, channel: Channel): ChannelInfo {
  const { name } = channel.phase;
  const note = node.abandonment.noteOf(channel);
  if (note !== undefined) return { ...describeChannel(channel), note };
  if (name !== 'open' && name !== 'awaiting_ready') return describeChannel(channel);
  return { ...describeChannel(channel), policy: node.policies.termsOf(channel).policy };
}

function closeChannel(
  node: RivuletNode,
  request: RequestOf<'closeChannel'>,
): Promise<ResponseOf<'closeChannel'>> {
  const { channelId, force = false, address, script } = request;
  const channel = node.turns.channels.get(channelId);
  if (channel === undefined) {
    throw new ServiceError(
      'unknown_channel',
      `there is no channel ${channelId}; \`rivulet channels\` lists them`,
    );
  }
  if (channel.phase.name === 'spent' || channel.phase.name === 'closed') {
    throw new ServiceError('channel_not_usable', 'this channel is closed on chain already');
  }
  if (request.feeratePerKw !== undefined) {
    throw new ServiceError('not_supported', 'the feerate of a close follows the chain; it cannot be set yet');
  }
  if (!force && channel.link !== 'online') {
    throw new ServiceError(
      'peer_offline',
      'the peer of this channel is not connected: connect to it, or close by force (coins come back later then)',
    );
  }
  const to = scriptOf(node, { address, script });
  return node
    .closeChannel({ key: channelId, force, ...(to === undefined ? {} : { script: to }) })
    .then((closing) => {
      const { state, closingTxidHex } = describeChannel(closing);
      return { channelId, state, ...(closingTxidHex === undefined ? {} : { closingTxidHex }) };
    });
}

function scriptOf(
  node: RivuletNode,
  { address, script }: { address: string | undefined; script: string | undefined },
): Uint8Array | undefined {
  if (address !== undefined && script !== undefined) {
    throw new ServiceError('address_invalid', 'give an address or a script, not both');
  }
  if (script !== undefined) return hexToBytes(script);
  return address === undefined ? undefined : addressToScript(address, node.network);
}

function balance(node: RivuletNode): ResponseOf<'balance'> {
  const onchain = node.wallet.balance();
  const channels = { localMsat: 0n, remoteMsat: 0n, pendingMsat: 0n, closingMsat: 0n };
  for (const channel of node.channels) {
    const { name } = channel.phase;
    if (name === 'closed') continue;
    // The peer's channel that it never funded: nothing was lost with it.
    const unfunded = !channel.params.localIsOpener && channel.readiness.fundingConfirmed === undefined;
    if (name === 'failed' && unfunded) continue;
    // Its coins are the wallet's again.
    if (node.abandonment.isPending(channel)) continue;
    const { localMsat, remoteMsat } = describeChannel(channel);
    if (name === 'open' || name === 'awaiting_ready') {
      channels.localMsat += localMsat;
      channels.remoteMsat += remoteMsat;
      channels.pendingMsat += pendingMsat(channel);
    } else {
      channels.closingMsat += localMsat;
    }
  }
  return {
    onchain: {
      confirmedSat: onchain.confirmedSat,
      unconfirmedSat: onchain.unconfirmedSat + onchain.reservedSat,
    },
    channels,
  };
}

function subscribe(node: RivuletNode, listener: (event: NodeEvent) => void): () => void {
  const onPayment = (payment: OutgoingPayment | IncomingPayment) => {
    const listed: Listed<OutgoingPayment> | Listed<IncomingPayment> | undefined =
      payment.direction === 'incoming'
        ? node.storage.getIncomingPayment(payment.paymentHash)
        : node.storage.getOutgoingPayment(payment.paymentHash);
    if (listed === undefined) return;
    const type =
      listed.direction === 'incoming'
        ? 'payment_received'
        : listed.status === 'failed'
          ? 'payment_failed'
          : 'payment_sent';
    listener({ type, payment: describePayment(node.storage, listed) });
  };
  const onHeld = (invoice: ListedInvoice) =>
    listener({ type: 'invoice_held', invoice: describeInvoice(invoice, Date.now()) });
  const onKeysendHeld = (keysend: WaitingKeysend) =>
    listener({ type: 'keysend_held', keysend: describeHeldKeysend(keysend) });
  const onChannel = (channel: Channel) =>
    listener({ type: 'channel_changed', channel: withTerms(node, channel) });
  const onConnected = (nodeId: string) => listener({ type: 'peer_connected', nodeId });
  const onDisconnected = (peer: { nodeId: string; reason: string }) =>
    listener({ type: 'peer_disconnected', ...peer });
  const onBlock = ({ height, hash }: { height: number; hash: Uint8Array }) =>
    listener({ type: 'block', height, blockHash: bytesToHex(hash.toReversed()) });
  node.on('payment', onPayment);
  node.on('invoiceHeld', onHeld);
  node.on('keysendHeld', onKeysendHeld);
  node.on('channel', onChannel);
  node.on('peerConnected', onConnected);
  node.on('peerDisconnected', onDisconnected);
  node.on('block', onBlock);
  return () => {
    node.off('payment', onPayment);
    node.off('invoiceHeld', onHeld);
    node.off('keysendHeld', onKeysendHeld);
    node.off('channel', onChannel);
    node.off('peerConnected', onConnected);
    node.off('peerDisconnected', onDisconnected);
    node.off('block', onBlock);
  };
}
