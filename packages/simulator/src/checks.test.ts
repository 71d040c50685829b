import { bytesToHex } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { checkEnd } from './checks.js';
import { resolveOptions } from './options.js';
import type { PaymentRecord } from './paymentRecord.js';
import type { SimNode } from './simNode.js';
import { Simulation } from './simulation.js';

function finished(): Simulation {
  const simulation = new Simulation(resolveOptions({ seed: 5, nodes: 10, channels: 25, payments: 30 }));
  simulation.run();
  expect(simulation.violations).toEqual([]);
  expect(checkEnd(simulation).violations).toEqual([]);
  return simulation;
}

function firstSucceeded({ records }: Simulation): PaymentRecord {
  return records.find(({ sending }) => sending?.status === 'succeeded') as PaymentRecord;
}

describe('the checks at the end of a simulation', () => {
  test('miss money that an HTLC should have brought', () => {
    const simulation = finished();
    simulation.nodes[0]?.ledger.set('in none/0', 1n);
    expect(checkEnd(simulation).violations).toEqual(['node 0 has 1 msat less than it should']);
  });

  test('notice who pays for what it passes on', () => {
    const simulation = finished();
    simulation.nodes[0]?.ledger.set('out none/0', 1_000_000_000n);
    expect(checkEnd(simulation).violations).toEqual([
      expect.stringMatching(/^node 0 has lost \d+ msat by forwarding$/),
    ]);
  });

  test('notice a payment that succeeded and did not arrive, and one that failed and did', () => {
    const simulation = finished();
    const record = firstSucceeded(simulation);
    const { sending, request } = record;
    const receiver = simulation.nodes[record.receiver] as SimNode;
    receiver.receiver.received.set(bytesToHex(request.paymentHash), request.amountMsat - 1n);
    expect(checkEnd(simulation).violations.join()).toMatch(/succeeded and \d+ of \d+ msat arrived/);
    receiver.receiver.received.set(bytesToHex(request.paymentHash), request.amountMsat);
    if (sending !== undefined) record.sending = { ...sending, status: 'failed' };
    expect(checkEnd(simulation).violations.join()).toMatch(
      /failed and \d+ msat were paid.*failed and \d+ msat arrived/,
    );
  });

  test('notice a payment that ended twice, and one that never did', () => {
    const simulation = finished();
    const record = firstSucceeded(simulation);
    record.endings = 2;
    expect(checkEnd(simulation).violations.join()).toContain('has ended 2 times');
    record.endings = 0;
    expect(checkEnd(simulation).violations.join()).toContain('has ended 0 times');
  });

  test('notice money on chain that is nobody’s', () => {
    const simulation = finished();
    const outpoint = { txid: new Uint8Array(32).fill(1), index: 0 };
    simulation.chain.issue(outpoint, { valueSat: 5n, script: Uint8Array.of(0x51) });
    expect(checkEnd(simulation).violations).toEqual(['5 sat on chain belong to nobody; 0 are explained']);
  });
});
