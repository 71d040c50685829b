import type { ForwardTotal, StoredForward, StoredSending } from '../routing.js';
import type { Database } from './database.js';
import { asBigint, asBytes, asNumber, bytesOf, count, integer } from './values.js';

/** Payments under way, and what is forwarded for others. `keyFor` gives a channel's number. */
export function routingTables(database: Database, keyFor: (channelId: Uint8Array) => number) {
  const statements = {
    putSending: database.prepare(
      `INSERT INTO sendings (payment_hash, state) VALUES (?, ?)
       ON CONFLICT (payment_hash) DO UPDATE SET state = excluded.state`,
    ),
    removeSending: database.prepare('DELETE FROM sendings WHERE payment_hash = ?'),
    sendings: database.prepare('SELECT payment_hash, state FROM sendings'),
    putForward: database.prepare(
      `INSERT INTO forwards (channel, htlc_id, data) VALUES (?, ?, ?)
       ON CONFLICT (channel, htlc_id) DO UPDATE SET data = excluded.data`,
    ),
    removeForward: database.prepare('DELETE FROM forwards WHERE channel = ? AND htlc_id = ?'),
    forwards: database.prepare(
      'SELECT channel_id, htlc_id, data FROM forwards JOIN channel_keys ON key = channel',
    ),
    addTotal: database.prepare(
      `INSERT INTO forward_totals (hour, incoming, outgoing, settled_count, failed_count, amount_msat, fee_msat)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (hour, incoming, outgoing) DO UPDATE SET
         settled_count = settled_count + excluded.settled_count,
         failed_count = failed_count + excluded.failed_count,
         amount_msat = amount_msat + excluded.amount_msat, fee_msat = fee_msat + excluded.fee_msat`,
    ),
    totals: database.prepare(
      `SELECT hour, i.channel_id, o.channel_id, settled_count, failed_count, amount_msat, fee_msat
       FROM forward_totals JOIN channel_keys i ON i.key = incoming JOIN channel_keys o ON o.key = outgoing
       WHERE hour >= ? AND hour < ? ORDER BY hour, incoming, outgoing`,
    ),
  };

  return {
    reader: {
      loadSendings: (): StoredSending[] =>
        statements.sendings.all().map((row) => ({ paymentHash: asBytes(row[0]), state: asBytes(row[1]) })),
      loadForwards: (): StoredForward[] =>
        statements.forwards.all().map((row) => ({
          incomingChannelId: asBytes(row[0]),
          incomingHtlcId: asBigint(row[1]),
          data: asBytes(row[2]),
        })),
      listForwardTotals: ({ fromHour, toHour }: { fromHour: number; toHour: number }): ForwardTotal[] =>
        statements.totals.all(count('fromHour', fromHour), count('toHour', toHour)).map((row) => ({
          hour: asNumber(row[0]),
          incomingChannelId: asBytes(row[1]),
          outgoingChannelId: asBytes(row[2]),
          settledCount: asNumber(row[3]),
          failedCount: asNumber(row[4]),
          amountMsat: asBigint(row[5]),
          feeMsat: asBigint(row[6]),
        })),
    },

    writer: {
      putSending: ({ paymentHash, state }: StoredSending): void => {
        statements.putSending.run(bytesOf('paymentHash', paymentHash, 32), state);
      },
      deleteSending: (paymentHash: Uint8Array): void => {
        statements.removeSending.run(paymentHash);
      },
      putForward: ({ incomingChannelId, incomingHtlcId, data }: StoredForward): void => {
        statements.putForward.run(keyFor(incomingChannelId), integer('incomingHtlcId', incomingHtlcId), data);
      },
      deleteForward: ({
        incomingChannelId,
        incomingHtlcId,
      }: Pick<StoredForward, 'incomingChannelId' | 'incomingHtlcId'>): void => {
        statements.removeForward.run(keyFor(incomingChannelId), incomingHtlcId);
      },
      addForwardTotal: (total: ForwardTotal): void => {
        statements.addTotal.run(
          count('hour', total.hour),
          keyFor(total.incomingChannelId),
          keyFor(total.outgoingChannelId),
          count('settledCount', total.settledCount),
          count('failedCount', total.failedCount),
          integer('amountMsat', total.amountMsat),
          integer('feeMsat', total.feeMsat),
        );
      },
    },
  };
}
