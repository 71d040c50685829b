import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  createResolver,
  LegLedger,
  rivuletWallet,
  type StoreTransaction,
  type Wallet,
} from '@rivulet/keysend';
import { AuditLog, createGuard, type ToolkitGuard, unknownCounterparty } from '@rivulet/keysend/compliance';
import { guardedFetch, guardedFetcher, loadToolkitSecret } from '@rivulet/keysend/node';
import { ReceiptIssuer } from '@rivulet/keysend/proof';
import { fetchPoster, type ReceivedBoost, ReceivingService } from '@rivulet/keysend/receiving';
import type { Toolkit } from '@rivulet/keysend/sqlite';
import type { NodeService } from '@rivulet/sdk';
import { currencyOf, type RivuletNode } from '../driver/index.js';
import type { Logger } from '../logging/index.js';
import type { Scheduler } from '../peers/index.js';
import { localClient } from './localClient.js';
import { ReceiptDesk } from './receiptDesk.js';

export interface ToolkitDeskOptions {
  /** Whoever gives it closes it, after `stop`. */
  readonly toolkit: Toolkit;
  readonly dataDir: string;
  readonly node: RivuletNode;
  readonly service: NodeService;
  readonly scheduler: Scheduler;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Logger;
}

const secretFileName = 'toolkit-secret';

/**
 * What a daemon does with keysends that it has received, over one opened file of the toolkit: keeps them, tells webhooks
 * of them, audits them, and gives receipts. It follows the node's list of payments, so that what it misses, or cannot
 * store, it finds there later.
 */
export class ToolkitDesk {
  readonly issuer: ReceiptIssuer;
  readonly #options: ToolkitDeskOptions;
  readonly #audit: AuditLog;
  readonly #guard: ToolkitGuard;
  readonly #wallet: Wallet;
  readonly #source: string;
  readonly #receiving: ReceivingService;
  readonly #receipts: ReceiptDesk;

  constructor(options: ToolkitDeskOptions) {
    this.#options = options;
    const { toolkit, node, service, scheduler, now, logger } = options;
    const { store, boosts } = toolkit;
    const schedule = (delayMs: number, run: () => void) => scheduler.schedule(delayMs, run);
    const recipient = node.nodeId;
    this.#audit = new AuditLog({ store });
    this.#guard = createGuard({ audit: this.#audit });
    this.#wallet = rivuletWallet(localClient(service), { schedule });
    // What `sourceOf` says of it: whoever collects from this node over its API must not count a payment twice.
    this.#source = `${this.#wallet.kind}:${recipient}`;
    const sign = async (text: string): Promise<string> => node.payments.signMessage(text);
    this.issuer = new ReceiptIssuer({ store, recipient, sign, audit: this.#audit, now });
    this.#receipts = new ReceiptDesk({
      store,
      boosts,
      source: this.#source,
      issuer: this.issuer,
      audit: this.#audit,
      recipient,
      openLedger: () => this.#openLedger(),
      now,
      scheduler,
      logger,
    });
    this.#receiving = new ReceivingService({
      toolkit,
      wallets: [{ source: this.#source, wallet: this.#wallet }],
      // Whoever adds a webhook can write to the data folder: he may have one on this machine.
      poster: fetchPoster(guardedFetch({ allow: { loopback: true, private: true } })),
      now,
      schedule,
      logger,
      alongside: (tx, received) => {
        for (const boost of received) this.#review(tx, boost);
      },
    });
  }

  /** @throws what the store throws: then it has to be stopped. */
  start(): void {
    this.#receiving.subscribeBoosts(() => this.#receipts.notify());
    this.#receiving.start();
    this.#receipts.notify();
  }

  async stop(): Promise<void> {
    await this.#receiving.stop();
    await this.#receipts.stop();
    await this.#wallet.close();
  }

  #openLedger(): LegLedger {
    const { toolkit, dataDir, node, scheduler, now } = this.#options;
    const { store } = toolkit;
    return new LegLedger({
      store,
      wallet: this.#wallet,
      secret: loadToolkitSecret({ path: join(dataDir, secretFileName), store }),
      now,
      schedule: (delayMs, run) => scheduler.schedule(delayMs, run),
      resolver: createResolver({ fetcher: guardedFetcher(), now, currency: currencyOf(node.network) }),
      owner: `daemon ${process.pid} ${randomBytes(8).toString('hex')}`,
      // There is one daemon for a data folder at a time: all before it are gone.
      isOwnerAlive: (owner) => (owner.startsWith('daemon ') ? false : undefined),
      abortGraceMs: 1_000,
      audit: this.#audit,
      guard: this.#guard,
    });
  }

  /** In the transaction that stores a payment: what came in is in the log, and what is strange about it is a flag. */
  #review(tx: StoreTransaction, boost: ReceivedBoost): void {
    const { paymentHash, amountMsat, receivedAtMs, kind, sender } = boost;
    const counterparty = sender.provenKey ?? unknownCounterparty;
    this.#audit.append(tx, {
      type: 'payment_received',
      atMs: receivedAtMs,
      actor: 'rivulet',
      data: { paymentHash, counterparty, amountMsat: amountMsat.toString(), purpose: kind },
    });
    this.#guard.reviewIncoming(tx, { counterparty, amountMsat, atMs: receivedAtMs, id: paymentHash });
  }
}
