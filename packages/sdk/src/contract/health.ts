import { z } from 'zod';
import { hex, nodeId, sat, timeMs } from './fields.js';

/** Something that wants a look; the sentence says what to do. */
const warning = z.object({
  code: z.enum([
    'chain',
    'disk',
    'reserve',
    'backup',
    'peer_backup',
    'database_copy',
    'tower',
    'check',
    'stopped_channel',
    'unproven_channel',
  ]),
  message: z.string(),
});

const chainState = z.enum(['ok', 'behind', 'unreachable', 'stalled', 'disagreeing']);

/** How the node is, and what its owner has to see to. */
export const health = z.object({
  /** Nothing wants a look. */
  ok: z.boolean(),
  warnings: z.array(warning),
  chain: z.object({
    backend: z.enum(['embedded', 'bitcoind', 'esplora']),
    state: chainState,
    sinceMs: timeMs,
    tipHeight: z.int().min(0).optional(),
    /** The last block that this node has taken in. */
    height: z.int().min(0),
    detail: z.string(),
    /** Where several are asked. */
    servers: z.array(z.object({ url: z.string(), state: chainState, detail: z.string() })),
  }),
  disk: z.object({
    state: z.enum(['ok', 'low', 'stopped']),
    freeBytes: z.int().min(0).optional(),
    /** Whether the room for the worst day is put aside. */
    reserveHeld: z.boolean(),
  }),
  /** Confirmed coins that pay the fees of closes: what is wanted and what is there. */
  reserve: z.object({ neededSat: sat, haveSat: sat }),
  /** The files of the channels' backup. */
  backups: z.array(
    z.object({
      path: z.string(),
      channels: z.int().min(0),
      writtenAtMs: timeMs.optional(),
      error: z.string().optional(),
    }),
  ),
  /** Peers that keep a copy of the channels' backup. */
  peerBackups: z.array(
    z.object({
      nodeId,
      connected: z.boolean(),
      /** It gave back at this connection what our backup says now. */
      confirmed: z.boolean(),
      /** It keeps channels of ours that we do not know. */
      holdsMore: z.boolean(),
    }),
  ),
  /** The live copy of the database; absent where none is set up. */
  databaseCopy: z
    .object({
      folder: z.string(),
      state: z.enum(['in_step', 'behind', 'failed']),
      sinceMs: timeMs,
      /** What takes that disk takes the database and its copy. */
      sameDisk: z.boolean(),
      error: z.string().optional(),
    })
    .optional(),
  /** The last check of what must never be so. */
  checks: z
    .object({
      atMs: timeMs,
      findings: z.array(z.object({ code: z.string(), message: z.string(), channelId: hex(32).optional() })),
    })
    .optional(),
});
