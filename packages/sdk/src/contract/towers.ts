import { z } from 'zod';
import { hex, host, nodeId, timeMs } from './fields.js';

const commitmentNumber = z.int().min(0);

const towerChannel = z.object({
  channelId: hex(32),
  /** The first commitment of the peer that the tower was told of, or will be: older ones are not watched by it. */
  fromCommitment: commitmentNumber,
  /** The last one that it was told of, with all since the first; absent before any. */
  coveredTo: commitmentNumber.optional(),
  /** The last one that the peer has revoked. */
  revokedTo: commitmentNumber.optional(),
  /** Revoked ones that it has yet to be told of. */
  queued: z.int().min(0),
  /** Since when the oldest of them waits. */
  queuedSinceMs: timeMs.optional(),
  /** Those that it would not take, with its last reason: nobody watches them. */
  refused: z.int().min(0),
  refusal: z.string().optional(),
  /** Those that were not even kept for it, since too many waited. */
  missed: z.int().min(0),
});

/** A watchtower that watches for us. */
const tower = z.object({
  towerId: nodeId,
  url: z.string(),
  /**
   * `behind`: it was not told everything yet; `unreachable`: and the last attempt failed; `misbehaving`: it broke
   * its word, which `proofs` show, and hears of nothing more until it is added again.
   */
  state: z.enum(['watching', 'behind', 'unreachable', 'misbehaving']),
  addedAtMs: timeMs,
  lastContactMs: timeMs.optional(),
  lastError: z.object({ message: z.string(), atMs: timeMs }).optional(),
  subscription: z.object({
    /** One, and one more for each HTLC that a commitment had at the same time. */
    subscriptions: z.int().min(0),
    /** Of the one that has least. */
    slotsLeft: z.int().min(0),
    expiryHeight: z.int().min(0),
    blocksLeft: z.int().min(0),
  }),
  channels: z.array(towerChannel),
  proofs: z.array(
    z.object({
      what: z.string(),
      /** What was signed, or should have been. */
      messageHex: hex(),
      signature: z.string(),
      /** Whose signature it is. */
      signerHex: hex().optional(),
      atMs: timeMs,
    }),
  ),
});

export type TowerInfo = z.output<typeof tower>;

/** The endpoints about watchtowers: those that watch for us, and our own. */
export const towerEndpoints = {
  towers: {
    method: 'GET',
    path: '/v1/towers',
    request: z.strictObject({}),
    response: z.object({ towers: z.array(tower) }),
  },
  addTower: {
    method: 'POST',
    path: '/v1/add-tower',
    /** `HOST:PORT/tower_id`. */
    request: z.strictObject({ uri: z.string().min(1).max(400) }),
    response: tower,
  },
  removeTower: {
    method: 'POST',
    path: '/v1/remove-tower',
    request: z.strictObject({ towerId: nodeId }),
    response: z.object({ towerId: nodeId }),
  },
  towerServer: {
    method: 'GET',
    path: '/v1/tower-server',
    request: z.strictObject({}),
    response: z.object({
      /** Absent where this daemon runs no tower (`tower.enabled`). */
      server: z
        .object({
          towerId: nodeId,
          host,
          port: z.int().min(0).max(65_535),
          height: z.int().min(0),
          users: z.int().min(0),
          appointments: z.int().min(0),
          /** Cheats that were seen and are not buried yet. */
          trackers: z.int().min(0),
          /** Those whose penalties are not mined yet. */
          waitingPenalties: z.int().min(0),
          blobBytes: z.int().min(0),
        })
        .optional(),
    }),
  },
} as const;
