import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testChain } from './chainSuite.js';
import { testChannels } from './channelSuite.js';
import { testClosing } from './closingSuite.js';
import { testInvoices } from './invoiceSuite.js';
import { testPayments } from './paymentSuite.js';
import { testRouting } from './routingSuite.js';
import type { NodeStorage } from './storage.js';
import { channel, offered, type SuiteContext } from './suiteRows.js';
import { testTowers } from './towerSuite.js';
import { testTransactions } from './transactionSuite.js';

/** What the suite needs of a backend: two opens of the same place see the same data. */
export interface SuiteBackend {
  open(): NodeStorage;
  /** Forgets everything, after the storage was closed. */
  remove(): void;
  /** Whether data outlives close(). */
  readonly durable: boolean;
}

/** The one suite that every backend passes. */
export function storageSuite(name: string, makeBackend: () => SuiteBackend): void {
  describe(`storage: ${name}`, () => {
    let backend: SuiteBackend;
    let storage: NodeStorage;

    beforeEach(() => {
      backend = makeBackend();
      storage = backend.open();
    });
    afterEach(() => {
      storage.close();
      backend.remove();
    });
    const renew = (): void => {
      storage.close();
      storage = backend.open();
    };
    const context: SuiteContext = {
      get storage() {
        return storage;
      },
      reopen: () => {
        if (backend.durable) renew();
      },
      renew,
    };

    describe('transactions', () => testTransactions(context));
    testChannels(context);
    describe('payments', () => testPayments(context));
    describe('payments under way and forwards', () => testRouting(context));
    describe('invoices', () => testInvoices(context));
    describe('closed channels', () => {
      testClosing({ storage: () => storage, reopen: context.reopen });
      testTowers({ storage: () => storage, reopen: context.reopen });
    });
    describe('chain, settings and peers', () => testChain(context));

    test('a sound storage finds nothing wrong with itself', () => {
      storage.transaction((tx) => {
        tx.putChannel(channel(1));
        for (let id = 0n; id < 500n; id++) tx.putHtlc(offered(1, id));
      });
      expect(storage.integrityCheck()).toEqual([]);
    });
  });
}
