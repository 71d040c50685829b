import { bytesToHex } from '@rivulet/core/bytes';
import type {
  IncomingPayment,
  Listed,
  ListedPayment,
  OutgoingPayment,
  OutgoingStatus,
  PaymentFilter,
  PaymentPage,
  PaymentUpdate,
} from '../payments.js';
import { StorageError } from '../storageError.js';
import type { Database, Row, SqliteValue, Statement } from './database.js';
import { asBigint, asBytes, asNumber, asText, bytesOf, count, integer, optional } from './values.js';

const OUTGOING = 0;
const INCOMING = 1;
const STATUSES = ['pending', 'succeeded', 'failed', 'settled'] as const;
const COLUMNS = `sequence, p.direction, status, p.payment_hash, preimage, node_id, amount_msat, fee_msat, records,
  created_at_ms, settled_at_ms, channel_id, htlc_id, failure_code, failure_text, label, idempotency_key`;
const FROM = 'FROM payments p LEFT JOIN channel_keys ON key = channel';

function toPayment(row: Row): ListedPayment {
  const sequence = asNumber(row[0]);
  const paymentHash = asBytes(row[3]);
  const amountMsat = asBigint(row[6]);
  const records = asBytes(row[8]);
  if (asNumber(row[1]) === INCOMING) {
    return {
      direction: 'incoming',
      sequence,
      paymentHash,
      preimage: asBytes(row[4]),
      amountMsat,
      status: 'settled',
      records,
      sender: optional(row[5], asBytes),
      channelId: asBytes(row[11]),
      htlcId: asBigint(row[12]),
      receivedAtMs: asNumber(row[9]),
    };
  }
  return {
    direction: 'outgoing',
    sequence,
    paymentHash,
    preimage: optional(row[4], asBytes),
    destination: asBytes(row[5]),
    amountMsat,
    feeMsat: asBigint(row[7]),
    status: STATUSES[asNumber(row[2])] as OutgoingStatus,
    failureCode: optional(row[13], asText),
    failureText: optional(row[14], asText),
    records,
    createdAtMs: asNumber(row[9]),
    settledAtMs: optional(row[10], asNumber),
    channelId: optional(row[11], asBytes),
    htlcId: optional(row[12], asBigint),
    label: optional(row[15], asText),
    idempotencyKey: optional(row[16], asText),
  };
}

/** What every kind of list reads: the literal status lets SQLite use the partial indexes. */
function listSql({ direction, status, after }: PaymentFilter): string {
  const conditions = [after === undefined ? 'sequence < ?' : 'sequence > ?'];
  if (direction !== undefined)
    conditions.push(`direction = ${direction === 'outgoing' ? OUTGOING : INCOMING}`);
  if (status !== undefined) conditions.push(`status = ${STATUSES.indexOf(status)}`);
  return `SELECT ${COLUMNS} ${FROM} WHERE ${conditions.join(' AND ')} ORDER BY sequence ${after === undefined ? 'DESC' : 'ASC'} LIMIT ?`;
}

/** Payments, and the hashes that were ever seen. `keyFor` gives a channel's number. */
export function paymentTables(database: Database, keyFor: (channelId: Uint8Array) => number) {
  const statements = {
    insert: database.prepare(
      `INSERT INTO payments (direction, status, payment_hash, preimage, node_id, amount_msat, fee_msat, records,
         created_at_ms, settled_at_ms, channel, htlc_id, failure_code, failure_text, label, idempotency_key)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    insertHash: database.prepare(
      'INSERT INTO payment_hashes (payment_hash, direction, payment) VALUES (?, ?, ?)',
    ),
    markSeen: database.prepare(
      'INSERT INTO payment_hashes (payment_hash, direction, payment) VALUES (?, 1, NULL) ON CONFLICT DO NOTHING',
    ),
    linkSeen: database.prepare(
      'UPDATE payment_hashes SET payment = ? WHERE payment_hash = ? AND direction = 1 AND payment IS NULL',
    ),
    linkSent: database.prepare(
      'UPDATE payment_hashes SET payment = ? WHERE payment_hash = ? AND direction = 0',
    ),
    findHash: database.prepare('SELECT payment FROM payment_hashes WHERE payment_hash = ? AND direction = ?'),
    byHash: database.prepare(
      `SELECT ${COLUMNS} FROM payment_hashes h JOIN payments p ON sequence = payment
         LEFT JOIN channel_keys ON key = channel WHERE h.payment_hash = ? AND h.direction = ?`,
    ),
    byKey: database.prepare(`SELECT ${COLUMNS} ${FROM} WHERE idempotency_key = ?`),
    preimage: database.prepare(
      `SELECT preimage FROM payment_hashes h JOIN payments ON sequence = payment
         WHERE h.payment_hash = ? AND preimage IS NOT NULL AND status IN (1, 3)`,
    ),
    update: database.prepare(
      `UPDATE payments SET preimage = coalesce(?, preimage), fee_msat = coalesce(?, fee_msat),
         status = coalesce(?, status), failure_code = coalesce(?, failure_code),
         failure_text = coalesce(?, failure_text), settled_at_ms = coalesce(?, settled_at_ms),
         channel = coalesce(?, channel), htlc_id = coalesce(?, htlc_id) WHERE sequence = ?`,
    ),
  };
  const lists = new Map<string, Statement>();

  const maybe = <T>(value: T | undefined, check: (value: T) => SqliteValue): SqliteValue =>
    value === undefined ? null : check(value);

  function getByHash(paymentHash: Uint8Array, direction: number): ListedPayment | undefined {
    const row = statements.byHash.get(paymentHash, direction);
    return row && toPayment(row);
  }

  function alreadyUsed(what: string): StorageError {
    return new StorageError('duplicate', `a payment with ${what} exists already`);
  }

  return {
    reader: {
      getOutgoingPayment: (paymentHash: Uint8Array) =>
        getByHash(paymentHash, OUTGOING) as Listed<OutgoingPayment> | undefined,
      getIncomingPayment: (paymentHash: Uint8Array) =>
        getByHash(paymentHash, INCOMING) as Listed<IncomingPayment> | undefined,
      getOutgoingPaymentByKey: (idempotencyKey: string) => {
        const row = statements.byKey.get(idempotencyKey);
        return row && (toPayment(row) as Listed<OutgoingPayment>);
      },
      hasSeenHash: (paymentHash: Uint8Array): boolean =>
        statements.findHash.get(paymentHash, INCOMING) !== undefined,
      getPreimage: (paymentHash: Uint8Array): Uint8Array | undefined =>
        optional(statements.preimage.get(paymentHash)?.[0], asBytes),
      listPayments: (filter: PaymentFilter = {}): PaymentPage => {
        const limit = filter.limit ?? 100;
        if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
          throw new StorageError('out_of_range', `a page has 1 to 1000 payments, not ${limit}`);
        }
        if (filter.before !== undefined && filter.after !== undefined) {
          throw new StorageError('wrong_use', 'payments are listed before a sequence or after one, not both');
        }
        const sql = listSql(filter);
        let statement = lists.get(sql);
        if (statement === undefined) {
          statement = database.prepare(sql);
          lists.set(sql, statement);
        }
        // One more than asked for, to know whether there is a next page.
        const rows = statement.all(filter.after ?? filter.before ?? Number.MAX_SAFE_INTEGER, limit + 1);
        const payments = rows.slice(0, limit).map(toPayment);
        return rows.length > limit ? { payments, next: payments.at(-1)!.sequence } : { payments };
      },
    },

    writer: {
      putOutgoingPayment: (payment: OutgoingPayment): void => {
        const paymentHash = bytesOf('paymentHash', payment.paymentHash, 32);
        const earlier = getByHash(paymentHash, OUTGOING);
        if (earlier !== undefined && earlier.status !== 'failed') {
          throw alreadyUsed(`the hash ${bytesToHex(paymentHash)}`);
        }
        const { idempotencyKey } = payment;
        if (idempotencyKey !== undefined && statements.byKey.get(idempotencyKey) !== undefined) {
          throw alreadyUsed('this idempotency key');
        }
        const { rowid } = statements.insert.run(
          OUTGOING,
          STATUSES.indexOf(payment.status),
          paymentHash,
          maybe(payment.preimage, (preimage) => bytesOf('preimage', preimage, 32)),
          bytesOf('destination', payment.destination, 33),
          integer('amountMsat', payment.amountMsat),
          integer('feeMsat', payment.feeMsat),
          payment.records,
          count('createdAtMs', payment.createdAtMs),
          maybe(payment.settledAtMs, (time) => count('settledAtMs', time)),
          maybe(payment.channelId, keyFor),
          maybe(payment.htlcId, (id) => integer('htlcId', id)),
          payment.failureCode ?? null,
          payment.failureText ?? null,
          payment.label ?? null,
          idempotencyKey ?? null,
        );
        if (earlier === undefined) statements.insertHash.run(paymentHash, OUTGOING, rowid);
        else statements.linkSent.run(rowid, paymentHash);
      },

      updateOutgoingPayment: (paymentHash: Uint8Array, update: PaymentUpdate): void => {
        const sequence = statements.findHash.get(paymentHash, OUTGOING)?.[0];
        if (sequence === undefined || sequence === null) {
          throw new StorageError('not_found', `no payment with the hash ${bytesToHex(paymentHash)} was sent`);
        }
        statements.update.run(
          maybe(update.preimage, (preimage) => bytesOf('preimage', preimage, 32)),
          maybe(update.feeMsat, (fee) => integer('feeMsat', fee)),
          maybe(update.status, (status) => STATUSES.indexOf(status)),
          update.failureCode ?? null,
          update.failureText ?? null,
          maybe(update.settledAtMs, (time) => count('settledAtMs', time)),
          maybe(update.channelId, keyFor),
          maybe(update.htlcId, (id) => integer('htlcId', id)),
          sequence,
        );
      },

      putIncomingPayment: (payment: IncomingPayment): void => {
        const paymentHash = bytesOf('paymentHash', payment.paymentHash, 32);
        const seen = statements.findHash.get(paymentHash, INCOMING);
        if (seen !== undefined && seen[0] !== null) throw alreadyUsed(`the hash ${bytesToHex(paymentHash)}`);
        const { rowid } = statements.insert.run(
          INCOMING,
          STATUSES.indexOf('settled'),
          paymentHash,
          bytesOf('preimage', payment.preimage, 32),
          maybe(payment.sender, (sender) => bytesOf('sender', sender, 33)),
          integer('amountMsat', payment.amountMsat),
          0,
          payment.records,
          count('receivedAtMs', payment.receivedAtMs),
          null,
          keyFor(payment.channelId),
          integer('htlcId', payment.htlcId),
          null,
          null,
          null,
          null,
        );
        if (seen === undefined) statements.insertHash.run(paymentHash, INCOMING, rowid);
        else statements.linkSeen.run(rowid, paymentHash);
      },

      markHashSeen: (paymentHash: Uint8Array): void => {
        statements.markSeen.run(bytesOf('paymentHash', paymentHash, 32));
      },
    },
  };
}
