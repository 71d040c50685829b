import { hexToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../../keysendError.js';
import * as z from '../../schema/index.js';
import { errorOfProblem, HttpProblem } from '../http/index.js';
import type { ReceivedPayment } from '../wallet.js';
import { type ClnRpc, clnCode, clnErrorOf, msat } from './clnRpc.js';

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/));

/** Of the plugin's method `rivulet-keysends`. */
const kept = z.object({
  log: z.string().check(z.regex(/^[0-9a-f]{1,64}$/)),
  last: z.int(),
  keysends: z.array(
    z.object({
      index: z.int(),
      payment_hash: hash,
      amount_msat: msat,
      received_at_ms: z.number(),
      records: z.array(
        z.object({
          type: z.string().check(z.regex(/^\d{1,20}$/)),
          value: z.string().check(z.regex(/^([0-9a-f]{2})*$/)),
        }),
      ),
    }),
  ),
});

const paidInvoice = z.object({
  label: z.string(),
  payment_hash: hash,
  status: z.string(),
  pay_index: z.int(),
  amount_received_msat: msat,
  paid_at: z.number(),
});

/** Seconds that lightningd is to wait for something new. */
const waitSeconds = 30;
const graceMs = 15_000;

/** Whether lightningd has the plugin, and the rune allows its method. @throws HttpProblem */
export async function hasPlugin(rpc: ClnRpc, signal?: AbortSignal): Promise<boolean> {
  try {
    await rpc.call('rivulet-keysends', { limit: 0 }, { schema: kept, signal });
    return true;
  } catch (problem) {
    if (problem instanceof HttpProblem && problem.certain) {
      if (problem.failure === 'wallet_cannot' || problem.failure === 'unauthorized') return false;
    }
    throw problem;
  }
}

/** With all their records, from the plugin's list. The cursor is that list's name and an index in it. */
export async function* keptKeysends(
  rpc: ClnRpc,
  { after, signal }: { after?: string; signal: AbortSignal },
): AsyncGenerator<ReceivedPayment, void> {
  const cursor = /^(?:([0-9a-f]+):(\d{1,15})|\d{1,15})$/.exec(after ?? '0');
  if (cursor === null) throw wrongCursor();
  let log = cursor[1];
  let index = Number(cursor[2] ?? 0);
  while (!signal.aborted) {
    try {
      const schema = kept;
      const params = { after: index, limit: 100, wait: waitSeconds };
      const timeoutMs = waitSeconds * 1000 + graceMs;
      const answer = await rpc.call('rivulet-keysends', params, { schema, timeoutMs, signal });
      if (log !== undefined && log !== answer.log) index = 0;
      const isSame = log === undefined || log === answer.log;
      log = answer.log;
      // Another list: what was asked for means nothing in it.
      if (!isSame) continue;
      for (const one of answer.keysends) {
        index = one.index;
        yield {
          paymentHash: one.payment_hash,
          amountMsat: one.amount_msat,
          receivedAtMs: one.received_at_ms,
          records: new Map(one.records.map(({ type, value }) => [BigInt(type), hexToBytes(value)])),
          cursor: `${log}:${one.index}`,
        };
        if (signal.aborted) return;
      }
    } catch (problem) {
      if (signal.aborted) return;
      throw errorOfProblem(problem);
    }
  }
}

/** Without the plugin: lightningd makes an invoice of each keysend, with its amount. The cursor is its pay index. */
export async function* paidKeysends(
  rpc: ClnRpc,
  { after, signal }: { after?: string; signal: AbortSignal },
): AsyncGenerator<ReceivedPayment, void> {
  if (after !== undefined && !/^(\d{1,15}|[0-9a-f]+:\d{1,15})$/.test(after)) throw wrongCursor();
  // A cursor of the plugin's list says nothing of this one.
  let index = after === undefined || after.includes(':') ? 0 : Number(after);
  while (!signal.aborted) {
    try {
      const params = { lastpay_index: index, timeout: waitSeconds };
      const timeoutMs = waitSeconds * 1000 + graceMs;
      const invoice = await rpc.call('waitanyinvoice', params, { schema: paidInvoice, timeoutMs, signal });
      index = invoice.pay_index;
      // So lightningd's own plugin labels them: keysend-<seconds>.<nanoseconds>
      if (!/^keysend-\d+\.\d+$/.test(invoice.label)) continue;
      yield {
        paymentHash: invoice.payment_hash,
        amountMsat: invoice.amount_received_msat,
        receivedAtMs: invoice.paid_at * 1000,
        records: new Map(),
        cursor: String(index),
      };
    } catch (problem) {
      if (signal.aborted) return;
      const body = problem instanceof HttpProblem ? problem.body : undefined;
      if (clnErrorOf(body)?.code === clnCode.waitTimeout) continue;
      throw errorOfProblem(problem);
    }
  }
}

function wrongCursor(): KeysendError {
  return new KeysendError('request_invalid', 'this cursor is not one of this wallet');
}
