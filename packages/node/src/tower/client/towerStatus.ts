import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { NodeStorage } from '@rivulet/storage';
import type { MisbehaviourProof } from './towerConnection.js';
import { getMissed, getProgress } from './towerRecords.js';
import type { TowerWorker } from './towerWorker.js';
import { decodeWaitingState } from './waitingState.js';

/** What a tower can do for one channel. */
interface TowerChannelStatus {
  /** Hex. */
  readonly channelId: string;
  /** The first commitment that the tower was told of, or will be: older ones are not watched. */
  readonly fromCommitment: bigint;
  /** The last one that it was told of, with all from `fromCommitment`; absent before the first. */
  readonly coveredTo?: bigint;
  /** The last one that the peer has revoked; absent before the first. */
  readonly revokedTo?: bigint;
  /** Revoked ones that it has yet to be told of. */
  readonly queued: number;
  /** Since when the oldest of them waits. */
  readonly queuedSinceMs?: number;
  /** Those that it would not take, and that nobody watches: for the last reason. */
  readonly refused: number;
  readonly refusal?: string;
  /** Those that it will never hear of, since too many waited. */
  readonly missed: number;
}

export interface TowerStatus {
  readonly towerId: string;
  readonly url: string;
  /**
   * `behind`: there is something that it was not told yet; `unreachable`: and the last attempt failed;
   * `misbehaving`: it signed what it should not have, and hears of nothing more.
   */
  readonly state: 'watching' | 'behind' | 'unreachable' | 'misbehaving';
  readonly addedAtMs: number;
  readonly lastContactMs?: number;
  readonly lastError?: { readonly message: string; readonly atMs: number };
  /** Of the subscription that has least left; each HTLC of a commitment takes one of its own. */
  readonly subscription: {
    readonly subscriptions: number;
    readonly slotsLeft: number;
    readonly expiryHeight: number;
    readonly blocksLeft: number;
  };
  readonly channels: readonly TowerChannelStatus[];
  readonly proofs: readonly MisbehaviourProof[];
}

export function describeTower(
  worker: TowerWorker,
  {
    storage,
    channels,
    height,
  }: { storage: NodeStorage; channels: ReadonlyMap<string, Channel>; height: number },
): TowerStatus {
  const { record, lastContactMs, lastError } = worker;
  const described = [...channels]
    .filter(([, { phase }]) => phase.name !== 'closed')
    .map(([key, channel]) => describeChannel(key, { channel, storage, towerId: record.towerId }));
  const users = Object.values(record.users);
  const least = (values: number[]) => (values.length === 0 ? 0 : Math.min(...values));
  const expiryHeight = least(users.map(({ subscriptionExpiry }) => subscriptionExpiry));
  return {
    towerId: record.towerId,
    url: record.url,
    state: stateOf(worker, described),
    addedAtMs: record.addedAtMs,
    ...(lastContactMs === undefined ? {} : { lastContactMs }),
    ...(lastError === undefined ? {} : { lastError }),
    subscription: {
      subscriptions: users.length,
      slotsLeft: least(users.map(({ availableSlots }) => availableSlots)),
      expiryHeight,
      blocksLeft: Math.max(0, expiryHeight - height),
    },
    channels: described,
    proofs: record.proofs,
  };
}

function stateOf(
  { record, lastError }: TowerWorker,
  channels: readonly TowerChannelStatus[],
): TowerStatus['state'] {
  if (record.misbehaving) return 'misbehaving';
  if (lastError !== undefined) return 'unreachable';
  return channels.some(({ queued }) => queued > 0) ? 'behind' : 'watching';
}

function describeChannel(
  key: string,
  { channel, storage, towerId }: { channel: Channel; storage: NodeStorage; towerId: string },
): TowerChannelStatus {
  const { channelId } = channel.params;
  const { from, next, refused, refusal } = getProgress(storage, { towerId, channel: key });
  const { number } = channel.remoteCommit;
  const [oldest] = storage.loadTowerStates({ channelId, from: next, limit: 1 });
  const queued = number > next ? Number(number - next) : 0;
  const since = oldest === undefined ? undefined : decodeWaitingState(oldest.data).atMs;
  return {
    channelId: bytesToHex(channelId),
    fromCommitment: from,
    ...(next > from ? { coveredTo: next - 1n } : {}),
    ...(number > 0n ? { revokedTo: number - 1n } : {}),
    queued,
    ...(since === undefined || queued === 0 ? {} : { queuedSinceMs: since }),
    refused,
    ...(refusal === undefined ? {} : { refusal }),
    missed: getMissed(storage, key),
  };
}
