import type { StoredTowerState, TowerQueue } from '../towers.js';
import type { Database } from './database.js';
import { asBigint, asBytes, asNumber, bytesOf, count, integer } from './values.js';

/** What towers have yet to be told. `keyFor` gives a channel's number. */
export function towerTables(database: Database, keyFor: (channelId: Uint8Array) => number) {
  const statements = {
    put: database.prepare(
      `INSERT INTO tower_states (channel, commitment_number, data) VALUES (?, ?, ?)
       ON CONFLICT (channel, commitment_number) DO UPDATE SET data = excluded.data`,
    ),
    remove: database.prepare('DELETE FROM tower_states WHERE channel = ? AND commitment_number < ?'),
    states: database.prepare(
      `SELECT commitment_number, data FROM tower_states JOIN channel_keys ON key = channel
       WHERE channel_id = ? AND commitment_number >= ? ORDER BY commitment_number LIMIT ?`,
    ),
    queues: database.prepare(
      `SELECT channel_id, count(*), sum(length(data)), min(commitment_number), max(commitment_number)
       FROM tower_states JOIN channel_keys ON key = channel GROUP BY channel`,
    ),
  };

  return {
    reader: {
      loadTowerStates: (wanted: {
        channelId: Uint8Array;
        from: bigint;
        limit: number;
      }): StoredTowerState[] => {
        const { channelId, from, limit } = wanted;
        const rows = statements.states.all(
          bytesOf('channelId', channelId, 32),
          integer('from', from),
          count('limit', limit),
        );
        return rows.map((row) => ({ channelId, commitmentNumber: asBigint(row[0]), data: asBytes(row[1]) }));
      },
      listTowerQueues: (): TowerQueue[] =>
        statements.queues.all().map((row) => ({
          channelId: asBytes(row[0]),
          count: asNumber(row[1]),
          bytes: asNumber(row[2]),
          first: asBigint(row[3]),
          last: asBigint(row[4]),
        })),
    },

    writer: {
      putTowerState: ({ channelId, commitmentNumber, data }: StoredTowerState): void => {
        statements.put.run(keyFor(channelId), integer('commitmentNumber', commitmentNumber), data);
      },
      deleteTowerStates: ({ channelId, before }: { channelId: Uint8Array; before: bigint }): void => {
        statements.remove.run(keyFor(channelId), integer('before', before));
      },
    },
  };
}
