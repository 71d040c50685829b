import { bytesToHex } from '@rivulet/core/bytes';
import type {
  InvoiceFilter,
  InvoicePage,
  InvoiceState,
  InvoiceUpdate,
  ListedInvoice,
  StoredInvoice,
} from '../invoices.js';
import { StorageError } from '../storageError.js';
import type { Database, Row } from './database.js';
import { asBigint, asBytes, asNumber, asText, bytesOf, count, integer, optional } from './values.js';

const STATES = ['open', 'held', 'settled', 'cancelled'] as const;
const COLUMNS = `sequence, payment_hash, preimage, payment_secret, amount_msat, bolt11, description, created_at_ms,
  expires_at_ms, min_final_cltv_delta, hold, state, received_msat, settled_at_ms`;

function toInvoice(row: Row): ListedInvoice {
  return {
    sequence: asNumber(row[0]),
    paymentHash: asBytes(row[1]),
    preimage: optional(row[2], asBytes),
    paymentSecret: asBytes(row[3]),
    amountMsat: optional(row[4], asBigint),
    bolt11: asText(row[5]),
    description: asText(row[6]),
    createdAtMs: asNumber(row[7]),
    expiresAtMs: asNumber(row[8]),
    minFinalCltvDelta: asNumber(row[9]),
    hold: asNumber(row[10]) === 1,
    state: STATES[asNumber(row[11])] as InvoiceState,
    receivedMsat: optional(row[12], asBigint),
    settledAtMs: optional(row[13], asNumber),
  };
}

/** The invoices that this node made. */
export function invoiceTables(database: Database) {
  const statements = {
    insert: database.prepare(
      `INSERT INTO invoices (payment_hash, preimage, payment_secret, amount_msat, bolt11, description,
         created_at_ms, expires_at_ms, min_final_cltv_delta, hold, state, received_msat, settled_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    byHash: database.prepare(`SELECT ${COLUMNS} FROM invoices WHERE payment_hash = ?`),
    update: database.prepare(
      `UPDATE invoices SET preimage = coalesce(?, preimage), state = coalesce(?, state),
         received_msat = coalesce(?, received_msat), settled_at_ms = coalesce(?, settled_at_ms)
       WHERE payment_hash = ?`,
    ),
    list: database.prepare(
      `SELECT ${COLUMNS} FROM invoices WHERE sequence < ? AND (? IS NULL OR state = ?)
       ORDER BY sequence DESC LIMIT ?`,
    ),
  };
  const find = (paymentHash: Uint8Array): ListedInvoice | undefined => {
    const row = statements.byHash.get(paymentHash);
    return row && toInvoice(row);
  };

  return {
    reader: {
      getInvoice: find,
      listInvoices: ({ state, before, limit = 100 }: InvoiceFilter = {}): InvoicePage => {
        if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
          throw new StorageError('out_of_range', `a page has 1 to 1000 invoices, not ${limit}`);
        }
        const wanted = state === undefined ? null : STATES.indexOf(state);
        const rows = statements.list.all(before ?? Number.MAX_SAFE_INTEGER, wanted, wanted, limit + 1);
        const invoices = rows.slice(0, limit).map(toInvoice);
        return rows.length > limit ? { invoices, next: invoices.at(-1)!.sequence } : { invoices };
      },
    },

    writer: {
      putInvoice: (invoice: StoredInvoice): void => {
        const paymentHash = bytesOf('paymentHash', invoice.paymentHash, 32);
        if (find(paymentHash) !== undefined) {
          throw new StorageError(
            'duplicate',
            `an invoice with the hash ${bytesToHex(paymentHash)} exists already`,
          );
        }
        statements.insert.run(
          paymentHash,
          invoice.preimage === undefined ? null : bytesOf('preimage', invoice.preimage, 32),
          bytesOf('paymentSecret', invoice.paymentSecret, 32),
          invoice.amountMsat === undefined ? null : integer('amountMsat', invoice.amountMsat),
          invoice.bolt11,
          invoice.description,
          count('createdAtMs', invoice.createdAtMs),
          count('expiresAtMs', invoice.expiresAtMs),
          count('minFinalCltvDelta', invoice.minFinalCltvDelta),
          invoice.hold ? 1 : 0,
          STATES.indexOf(invoice.state),
          invoice.receivedMsat === undefined ? null : integer('receivedMsat', invoice.receivedMsat),
          invoice.settledAtMs === undefined ? null : count('settledAtMs', invoice.settledAtMs),
        );
      },
      updateInvoice: (paymentHash: Uint8Array, update: InvoiceUpdate): void => {
        if (find(paymentHash) === undefined) {
          throw new StorageError('not_found', `there is no invoice with the hash ${bytesToHex(paymentHash)}`);
        }
        statements.update.run(
          update.preimage === undefined ? null : bytesOf('preimage', update.preimage, 32),
          update.state === undefined ? null : STATES.indexOf(update.state),
          update.receivedMsat === undefined ? null : integer('receivedMsat', update.receivedMsat),
          update.settledAtMs === undefined ? null : count('settledAtMs', update.settledAtMs),
          paymentHash,
        );
      },
    },
  };
}
