import { addressToScript } from '@rivulet/chain';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { type Channel, ChannelRefusal, spendableNowMsat } from '@rivulet/core/channel';
import { activeBackendName, secp256k1 } from '@rivulet/core/crypto';
import { messageRecordType } from '@rivulet/core/payment';
import { txidToHex } from '@rivulet/core/tx';
import {
  type NodeEvent,
  type NodeService,
  type RequestOf,
  type ResponseOf,
  ServiceError,
} from '@rivulet/sdk';
import type { IncomingPayment, Listed, OutgoingPayment } from '@rivulet/storage';
import type { PeerInfo } from '../peers/index.js';
import { describeChannel, describePayment, isUsable, pendingMsat } from './describe.js';
import type { RivuletNode } from './node.js';
import { PaymentError } from './paymentError.js';

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
  /** Shuts the daemon down; called after the answer to `stop` was given. */
  readonly onStop: () => void;
}

/** What stands behind the API of a node. */
export function createService({ node, alias, version, mine, onStop }: ServiceOptions): NodeService {
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
    connect: async (request) => {
      const peer = await peerOf(request);
      return { nodeId: peer.nodeId, inbound: peer.inbound, features: bytesToHex(peer.remoteInit.features) };
    },
    disconnect: async ({ nodeId }) => ({ disconnected: node.peers.disconnect(nodeId) }),
    peers: async () => ({ peers: node.peers.peers.map((peer) => describePeer(node, peer)) }),
    openChannel: async (request) => openChannel(node, { request, peer: await peerOf(request) }),
    closeChannel: async (request) => closeChannel(node, request),
    channels: async () => ({ channels: node.channels.map(describeChannel) }),
    newAddress: async () => ({ address: node.wallet.newAddress().address }),
    descriptors: async () => ({ descriptors: node.wallet.descriptors() }),
    balance: async () => balance(node),
    keysend: async (request) => keysend(node, request),
    payments: async (filter) => {
      const page = node.storage.listPayments(filter);
      return {
        payments: page.payments.map(describePayment),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
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
  if (request.announce === true) {
    throw new ServiceError('not_supported', 'announced channels are not built yet; channels are private');
  }
  if (!node.synced)
    throw new ServiceError('chain_not_synced', 'the chain is still being read; try again soon');
  const channel = await node.openChannel({
    peer,
    capacitySat: request.capacitySat,
    pushMsat: (request.pushSat ?? 0n) * 1000n,
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

/** @throws ServiceError for an id that no other node can have. */
function checkOtherNode(node: RivuletNode, nodeId: string): void {
  if (nodeId === node.nodeId) {
    throw new ServiceError('own_node', 'that is the id of this node itself: give the id of the other one');
  }
  if (!secp256k1.isPublicKey(hexToBytes(nodeId))) {
    throw new ServiceError(
      'node_id_invalid',
      'no node can have this id, for it is no point of the curve: compare it digit by digit with the original',
    );
  }
}

async function keysend(node: RivuletNode, request: RequestOf<'keysend'>): Promise<ResponseOf<'keysend'>> {
  checkOtherNode(node, request.nodeId);
  const customRecords = new Map(request.records ?? []);
  if (request.message !== undefined) {
    if (customRecords.has(messageRecordType)) {
      throw new ServiceError('record_invalid', `a message is record ${messageRecordType}: give it once`);
    }
    customRecords.set(messageRecordType, utf8ToBytes(request.message));
  }
  await node.reach(request.nodeId);
  const { paymentHash, outcome } = node.payments.keysend({
    destination: hexToBytes(request.nodeId),
    amountMsat: request.amountMsat,
    customRecords,
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
  });
  const settled = await withinSeconds(outcome, request.waitSeconds).catch((error) =>
    Promise.reject(explainRefusal(node, { request, error })),
  );
  // What was not waited for is stored all the same before the caller hears of it.
  node.turns.runNow();
  const stored = node.storage.getOutgoingPayment(settled?.paymentHash ?? paymentHash);
  // Not stored: it was refused, or it is the payment of another call with the same key.
  if (stored !== undefined) return describePayment(stored);
  const other = node.storage.getOutgoingPayment((await outcome).paymentHash);
  if (other === undefined) throw new Error('a payment that was made is not in the storage');
  return describePayment(other);
}

/** What a channel refused for want of balance, with what could be sent: over one channel, for a payment is not split. */
function explainRefusal(
  node: RivuletNode,
  { request, error }: { request: RequestOf<'keysend'>; error: unknown },
): unknown {
  const refusal = error instanceof PaymentError ? error.cause : undefined;
  if (!(refusal instanceof ChannelRefusal)) return error;
  if (refusal.code !== 'amount_unaffordable' && refusal.code !== 'in_flight_limit') return error;
  const spendable = node.channels
    .filter((channel) => isUsable(channel) && bytesToHex(channel.params.remoteNodeId) === request.nodeId)
    .map((channel) => spendableNowMsat(channel));
  let mostMsat = 0n;
  for (const oneMsat of spendable) if (oneMsat > mostMsat) mostMsat = oneMsat;
  if (mostMsat >= request.amountMsat) return error;
  const where = spendable.length === 1 ? 'the channel with this node' : 'one channel with this node';
  return new ServiceError(
    'insufficient_balance',
    `${where} can carry at most ${satText(mostMsat)} sat in one payment now: send less, or open a larger channel`,
    { spendableMsat: mostMsat.toString() },
  );
}

function satText(amountMsat: bigint): string {
  const fraction = (amountMsat % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${amountMsat / 1000n}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Waits for the outcome, or as long as the caller wants; the payment goes on either way. */
async function withinSeconds<T>(outcome: Promise<T>, seconds: number | undefined): Promise<T | undefined> {
  if (seconds === undefined) return outcome;
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, undefined);
  });
  return Promise.race([outcome, waited]).finally(() => clearTimeout(timer));
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
    listener({ type, payment: describePayment(listed) });
  };
  const onChannel = (channel: Channel) =>
    listener({ type: 'channel_changed', channel: describeChannel(channel) });
  const onConnected = (nodeId: string) => listener({ type: 'peer_connected', nodeId });
  const onDisconnected = (peer: { nodeId: string; reason: string }) =>
    listener({ type: 'peer_disconnected', ...peer });
  const onBlock = ({ height, hash }: { height: number; hash: Uint8Array }) =>
    listener({ type: 'block', height, blockHash: bytesToHex(hash.toReversed()) });
  node.on('payment', onPayment);
  node.on('channel', onChannel);
  node.on('peerConnected', onConnected);
  node.on('peerDisconnected', onDisconnected);
  node.on('block', onBlock);
  return () => {
    node.off('payment', onPayment);
    node.off('channel', onChannel);
    node.off('peerConnected', onConnected);
    node.off('peerDisconnected', onDisconnected);
    node.off('block', onBlock);
  };
}
