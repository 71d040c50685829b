import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import { AuditLog } from './auditLog.js';
import { auditReport, reportToCsv, reportToJson } from './report.js';

const day = Date.UTC(2026, 4, 1);
const dayMs = 86_400_000;

function logged() {
  const store = memoryStore();
  const log = new AuditLog({ store });
  const add = (type: string, atMs: number, data: Record<string, string>) =>
    store.transaction((tx) => log.append(tx, { type, atMs, actor: 'user', data }));
  add('payment_succeeded', day, {
    counterparty: 'ann@host.example',
    amountMsat: '5000',
    feeMsat: '7',
    purpose: 'rule:pay',
  });
  add('payment_succeeded', day + dayMs, {
    recipient: 'bob@host.example',
    amountMsat: '9000',
    feeMsat: '1',
    group: '=cmd()',
  });
  add('payment_received', day + dayMs, { amountMsat: '20', counterparty: 'ann@host.example' });
  add('payment_failed', day + dayMs, {
    counterparty: 'ann@host.example',
    amountMsat: '1',
    failure: 'no_route',
  });
  add('payment_flagged', day + dayMs, { counterparty: 'ann@host.example', amountMsat: '20' });
  add('payment_succeeded', day + 2 * dayMs, {
    counterparty: 'late@host.example',
    amountMsat: '1',
    feeMsat: '0',
  });
  return log.records();
}

describe('a report', () => {
  const report = () => auditReport({ records: logged(), fromMs: day, toMs: day + 2 * dayMs });

  test('sums up what left and came in a time, by day, counterparty and purpose', () => {
    const { totals, byDay, byCounterparty, byPurpose, entries } = report();
    expect(totals).toEqual({
      sent: 2,
      sentMsat: 14_000n,
      feesMsat: 8n,
      received: 1,
      receivedMsat: 20n,
      flags: 1,
    });
    expect(byDay.map(({ name, sentMsat }) => [name, sentMsat])).toEqual([
      ['2026-05-01', 5_000n],
      ['2026-05-02', 9_000n],
    ]);
    expect(byCounterparty).toMatchObject([
      { name: 'bob@host.example', sentMsat: 9_000n },
      { name: 'ann@host.example', sentMsat: 5_000n, receivedMsat: 20n, flags: 1 },
    ]);
    expect(byPurpose.map(({ name }) => name)).toEqual(['=cmd()', 'rule:pay', '-']);
    expect(entries).toEqual({
      payment_succeeded: 2,
      payment_received: 1,
      payment_failed: 1,
      payment_flagged: 1,
    });
  });

  test('says what is still open, where a ledger tells', () => {
    const none = { legs: 0, amountMsat: 0n };
    const states = {
      planned: none,
      held: { legs: 2, amountMsat: 9n },
      sending: none,
      succeeded: none,
      failed: none,
      unknown: none,
      abandoned: none,
    };
    const { open } = auditReport({
      records: [],
      fromMs: 0,
      toMs: 1,
      ledger: { legs: 2, amountMsat: 9n, feesMsat: 0n, states },
    });
    expect(open).toContainEqual({ state: 'held', payments: 2, amountMsat: 9n });
    expect(open.map(({ state }) => state)).toEqual(['planned', 'held', 'sending', 'unknown']);
  });

  test('is CSV in which no name is a formula, and JSON with digits', () => {
    const csv = reportToCsv(report());
    expect(csv.split('\r\n')[0]).toBe('part,name,sent,sentMsat,feesMsat,received,receivedMsat,flags');
    expect(csv).toContain('\r\ntotal,,2,14000,8,1,20,1\r\n');
    expect(csv).toContain("\r\npurpose,'=cmd(),1,9000,1,0,0,0\r\n");
    expect(JSON.parse(reportToJson(report())).totals.sentMsat).toBe('14000');
  });
});
