import { backedUpParams, type ChannelBackup, firstHeightOf, restoredChannels } from '@rivulet/core/backup';
import { ByteWriter, bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { encodeTransaction, type Transaction, txid } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { FundingStore } from '../driver/fundingStore.js';
import type { RivuletNode } from '../driver/node.js';
import { type ChannelKey, channelKey, type Turn } from '../driver/turns.js';
import type { BackupKeys } from './backupKeys.js';

/** Of chainSync: the height at which a channel's funding output was spent. */
const spentKeyPrefix = 'channel-spent/';

/** What beside the channels themselves belongs to those that are restored. */
export function storeSurroundings(
  tx: StorageTransaction,
  {
    backup,
    channels,
    fundings,
  }: { backup: ChannelBackup; channels: readonly Channel[]; fundings: FundingStore },
): void {
  const known = new Set(tx.loadPeers().map(({ nodeId }) => bytesToHex(nodeId)));
  for (const [i, { params, readiness }] of channels.entries()) {
    const entry = backup.channels[i];
    const key = channelKey(params.channelId);
    if (entry?.closingScript !== undefined) {
      fundings.putClosingScript(tx, { key, script: entry.closingScript });
    }
    // A channel of a peer that never funds it is forgotten from here on.
    if (!params.localIsOpener && readiness.fundingConfirmed === undefined) {
      fundings.putOpenedAt(tx, { key, height: backup.height });
    }
    const [address] = entry?.addresses ?? [];
    const nodeId = bytesToHex(params.remoteNodeId);
    if (address === undefined || known.has(nodeId)) continue;
    known.add(nodeId);
    tx.putPeer({ nodeId: params.remoteNodeId, ...address, lastSeenMs: backup.createdAtMs });
  }
}

export interface ImportedBackup {
  /** Channels that were added: their peers are asked to close them. */
  readonly added: readonly ChannelKey[];
  /** Of these, the ones that are closed on chain already: what is ours is collected after a restart. */
  readonly alreadyClosed: readonly ChannelKey[];
}

interface Spend {
  readonly by: Transaction;
  readonly height: number;
  /** What spends outputs of the transaction that closed the channel. */
  readonly later: { readonly tx: Transaction; readonly height: number }[];
}

/** Reads blocks for what spends certain outputs, on and on. */
class SpendSearch {
  readonly spends = new Map<ChannelKey, Spend>();
  readonly #watched = new Map<string, ChannelKey>();
  next: number;

  constructor(channels: readonly Channel[], from: number) {
    this.next = from;
    for (const { params } of channels) this.#watch(params.fundingOutpoint, channelKey(params.channelId));
  }

  #watch({ txid: id, index }: { txid: Uint8Array; index: number }, key: ChannelKey): void {
    this.#watched.set(`${bytesToHex(id)}:${index}`, key);
  }

  see(transactions: readonly Transaction[], height: number): void {
    for (const tx of transactions) {
      for (const { outpoint } of tx.inputs) {
        const key = this.#watched.get(`${bytesToHex(outpoint.txid)}:${outpoint.index}`);
        if (key === undefined) continue;
        const spend = this.spends.get(key);
        if (spend === undefined) {
          this.spends.set(key, { by: tx, height, later: [] });
          const id = txid(tx);
          for (const index of tx.outputs.keys()) this.#watch({ txid: id, index }, key);
        } else if (!spend.later.some((one) => one.tx === tx)) spend.later.push({ tx, height });
      }
    }
  }
}

/**
 * Adds the channels of a backup that a running node does not have, to be closed by their peers; those that it
 * has are left as they are. The chain is read from the first of their fundings on.
 * @throws what the chain's backend throws.
 */
export async function importBackup(
  node: Pick<RivuletNode, 'turns' | 'storage' | 'backend' | 'peers' | 'blockHeight'>,
  { backup, keys }: { backup: ChannelBackup; keys: BackupKeys },
): Promise<ImportedBackup> {
  const { turns, backend } = node;
  const entries = backup.channels.filter((entry) => {
    const { channelId } = backedUpParams(entry, keys.basepointsOf);
    return !turns.channels.has(channelKey(channelId));
  });
  const missing = { ...backup, channels: entries };
  const channels = restoredChannels(missing, keys.basepointsOf);
  if (channels.length === 0) return { added: [], alreadyClosed: [] };
  const { birthHeight: _, ...scanned } = missing;
  const search = new SpendSearch(channels, firstHeightOf(scanned));
  for (;;) {
    for (; search.next <= node.blockHeight; search.next++) {
      const block = await backend.getBlock(search.next);
      if (block !== undefined) search.see(block.transactions, search.next);
    }
    const added = await inTurn(node, (turn) => {
      // A block more has come: it is not told to channels that are not there yet.
      if (node.blockHeight >= search.next) return undefined;
      return add(turn, { node, backup: missing, channels, search });
    });
    if (added !== undefined) {
      for (const { nodeId, address } of added.peers) node.peers.keepConnected(nodeId, address);
      return { added: added.keys, alreadyClosed: [...search.spends.keys()] };
    }
  }
}

function inTurn<T>({ turns }: Pick<RivuletNode, 'turns'>, run: (turn: Turn) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    turns.enqueue({
      run: (turn) => {
        const result = run(turn);
        turn.afterCommit(() => resolve(result));
      },
      failed: reject,
    });
  });
}

function add(
  turn: Turn,
  given: {
    node: Pick<RivuletNode, 'storage' | 'peers'>;
    backup: ChannelBackup;
    channels: readonly Channel[];
    search: SpendSearch;
  },
) {
  const { node, backup, channels, search } = given;
  const { tx } = turn;
  const keys: ChannelKey[] = [];
  for (const channel of channels) {
    const { channelId } = channel.params;
    const key = channelKey(channelId);
    if (turn.channels.has(key)) continue;
    keys.push(key);
    turn.addChannel(channel);
    const spend = search.spends.get(key);
    if (spend === undefined) {
      const peer = node.peers.getPeer(bytesToHex(channel.params.remoteNodeId));
      if (peer !== undefined) turn.command(key, { type: 'connected', simpleClose: false });
      continue;
    }
    turn.command(key, { type: 'fundingSpent', by: spend.by });
    tx.putValue(spentKeyPrefix + key, new ByteWriter(4).u32(spend.height).finish());
    for (const later of spend.later) {
      tx.putClosingSpend({ channelId, height: later.height, tx: encodeTransaction(later.tx) });
    }
  }
  storeSurroundings(tx, { backup, channels, fundings: new FundingStore(node.storage) });
  const addresses = new Map(
    tx.loadPeers().map(({ nodeId, host, port }) => [bytesToHex(nodeId), { host, port }]),
  );
  const nodeIds = new Set(channels.map(({ params }) => bytesToHex(params.remoteNodeId)));
  return { keys, peers: [...nodeIds].map((nodeId) => ({ nodeId, address: addresses.get(nodeId) })) };
}
