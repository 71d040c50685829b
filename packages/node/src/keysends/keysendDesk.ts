import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { decodeTlvStream } from '@rivulet/core/wire';
import {
  type AddressHints,
  createResolver,
  hintsText,
  type KeysendAccount,
  LegLedger,
  type ReceivedPayment,
  rivuletWallet,
  type SignedHints,
  type StoreTransaction,
  signHints,
  type Wallet,
} from '@rivulet/keysend';
import { AuditLog, createGuard, type ToolkitGuard, unknownCounterparty } from '@rivulet/keysend/compliance';
import { guardedFetch, guardedFetcher, loadToolkitSecret } from '@rivulet/keysend/node';
import { ReceiptBook, ReceiptIssuer, ReceiptReturner, receiptRecordType } from '@rivulet/keysend/proof';
import { fetchPoster, type ReceivedBoost, ReceivingService } from '@rivulet/keysend/receiving';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import type { NodeService } from '@rivulet/sdk';
import type { Config } from '../config/index.js';
import { currencyOf, type RivuletNode } from '../driver/index.js';
import type { Logger } from '../logging/index.js';
import { type Scheduler, systemScheduler } from '../peers/index.js';
import { KeysendPolicy } from './keysendPolicy.js';
import { localClient } from './localClient.js';
import { type PublicServer, startPublicServer } from './publicServer.js';

const toolkitFileName = 'toolkit.sqlite';
const secretFileName = 'toolkit-secret';
/** By which name the store of received payments knows this node. */
const ownSource = 'rivulet';
/** Up to which received payment receipts were handled. */
const handledKey = 'receipts-handled';
const hintsLifetimeSeconds = 7 * 86_400;

/**
 * What a daemon does with keysends beyond settling them: judges them before, keeps them for lists and webhooks,
 * audits them, gives receipts, and answers for keysend addresses. All in the toolkit's own file, which the commands
 * of the toolkit use as well; the node's database has the money and does not depend on it.
 */
export class KeysendDesk {
  readonly policy: KeysendPolicy;
  readonly #toolkit: Toolkit;
  readonly #audit: AuditLog;
  readonly #guard: ToolkitGuard;
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler = systemScheduler;
  #node: RivuletNode | undefined;
  #receiving: ReceivingService | undefined;
  #server: PublicServer | undefined;
  #wallet: Wallet | undefined;
  #receipts: { readonly returner: ReceiptReturner; readonly book: ReceiptBook } | undefined;
  #tending: Promise<void> = Promise.resolve();
  #stopping = false;
  readonly #hints = new Map<string, SignedHints>();

  /** @throws StorageError, KeysendError */
  constructor({ config, logger }: { config: Config; logger: Logger }) {
    this.#config = config;
    this.#logger = logger;
    this.#toolkit = openToolkit({ path: join(config.dataDir, toolkitFileName) });
    const { store } = this.#toolkit;
    this.#audit = new AuditLog({ store });
    this.#guard = createGuard({ audit: this.#audit });
    this.policy = new KeysendPolicy({
      store,
      audit: this.#audit,
      recipient: () => this.#knownNode.nodeId,
      now: Date.now,
    });
  }

  get #knownNode(): RivuletNode {
    if (this.#node === undefined) throw new Error('a keysend was judged before there was a node');
    return this.#node;
  }

  /** Whose keysends it is about; before the node starts. */
  attach(node: RivuletNode): void {
    this.#node = node;
  }

  /** The port of the public server, where there is one. */
  get publicPort(): number | undefined {
    return this.#server?.port;
  }

  async start(service: NodeService): Promise<void> {
    const { dataDir, address } = this.#config;
    const node = this.#knownNode;
    const { store } = this.#toolkit;
    const wallet = rivuletWallet(localClient(service));
    this.#wallet = wallet;
    const sign = async (text: string): Promise<string> => node.payments.signMessage(text);
    const audit = this.#audit;
    const issuer = new ReceiptIssuer({ store, recipient: node.nodeId, sign, audit, now: Date.now });
    const book = new ReceiptBook({ store, audit, now: Date.now });
    const fetcher = guardedFetcher();
    const ledger = new LegLedger({
      store,
      wallet,
      secret: loadToolkitSecret({ path: join(dataDir, secretFileName), store }),
      now: Date.now,
      schedule: (delayMs, run) => this.#scheduler.schedule(delayMs, run),
      resolver: createResolver({ fetcher, now: Date.now, currency: currencyOf(node.network) }),
      owner: `daemon ${process.pid} ${randomBytes(8).toString('hex')}`,
      audit,
      guard: this.#guard,
    });
    const returner = new ReceiptReturner({
      store,
      issuer,
      recipient: node.nodeId,
      now: Date.now,
      audit,
      pay: async (leg) => {
        ledger.plan([leg]);
        // Its outcome is the ledger's: whoever handles payments goes on.
        void ledger
          .run({ group: leg.group })
          .catch((err) => this.#logger.warn({ err }, 'receipts could not be sent back now'));
      },
    });
    this.#receiving = new ReceivingService({
      toolkit: this.#toolkit,
      wallets: [{ source: ownSource, wallet }],
      poster: fetchPoster(guardedFetch()),
      now: Date.now,
      schedule: (delayMs, run) => this.#scheduler.schedule(delayMs, run),
      logger: this.#logger,
      alongside: (tx, boosts) => {
        for (const boost of boosts) this.#review(tx, boost);
      },
    });
    this.#receipts = { returner, book };
    this.#receiving.subscribeBoosts(() => void this.#tendReceipts());
    this.#receiving.start();
    void this.#tendReceipts();
    // What a crash left open.
    void ledger.run({ group: 'receipts' }).catch((err) => this.#logger.warn({ err }, 'receipts wait'));
    if (!address.enabled) return;
    this.#server = await startPublicServer({
      host: address.host,
      port: address.port,
      accountOf: (name) => this.#accountOf(name),
      issuer,
      findPayment: (paymentHash) => this.#findPayment(paymentHash),
      now: Date.now,
      logger: this.#logger,
    });
  }

  /** Ends all, and lets go of the file. A second call does nothing. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#server?.close();
    await this.#receiving?.stop();
    await this.#tending;
    await this.#wallet?.close();
    this.policy.save();
    this.#toolkit.close();
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

  /** Receipts that are asked for, and those that come: each payment once, in order, from where the last run ended. */
  #tendReceipts(): Promise<void> {
    this.#tending = this.#tending.then(async () => {
      const { boosts, store } = this.#toolkit;
      while (!this.#stopping) {
        const after = Number(store.get(handledKey) ?? '0');
        const arrived = boosts.arrivals(after, 100);
        const last = arrived.at(-1);
        if (last === undefined) return;
        for (const boost of arrived) {
          // What another wallet received is not ours to sign for.
          if (boost.source === ownSource) await this.#tendReceipt(boost);
        }
        store.transaction((tx) => tx.put(handledKey, String(last.id)));
      }
    });
    this.#tending = this.#tending.catch((err) =>
      this.#logger.error({ err }, 'receipts could not be handled'),
    );
    return this.#tending;
  }

  async #tendReceipt(boost: ReceivedBoost): Promise<void> {
    const { paymentHash, amountMsat, receivedAtMs, records } = boost;
    const payment: ReceivedPayment = { paymentHash, amountMsat, receivedAtMs, records, cursor: '' };
    try {
      if (records.has(receiptRecordType)) this.#receipts?.book.acceptPayment(payment);
      await this.#receipts?.returner.handle(payment);
    } catch (err) {
      // One that asks for what cannot be must not keep the receipts of others.
      this.#logger.warn({ err, paymentHash }, 'the receipt of a payment could not be handled');
    }
  }

  /** Whom a name stands for; hints where nobody finds this node without. */
  async #accountOf(name: string): Promise<KeysendAccount | undefined> {
    const { address, keysend } = this.#config;
    if (!keysend.accept || !address.names.includes(name)) return undefined;
    const { nodeId } = this.#knownNode;
    const hints =
      address.domain === undefined ? undefined : await this.#hintsFor(`${name}@${address.domain}`);
    return { nodeId, ...(hints === undefined ? {} : { hints }) };
  }

  async #hintsFor(address: string): Promise<SignedHints | undefined> {
    const node = this.#knownNode;
    const hints = node.payments.invoices.hints(0n);
    if (hints.length === 0) return undefined;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const before = this.#hints.get(address);
    // Signed anew when a channel's terms change, and long before they expire.
    if (
      before !== undefined &&
      before.expires - nowSeconds > hintsLifetimeSeconds / 2 &&
      sameHints(before.hints, hints)
    ) {
      return before;
    }
    const { nodeId } = node;
    const expires = nowSeconds + hintsLifetimeSeconds;
    const signed = await signHints({ nodeId, address, expires, hints }, (text) =>
      node.payments.signMessage(text),
    );
    this.#hints.set(address, signed);
    return signed;
  }

  #findPayment(paymentHash: string): ReceivedPayment | undefined {
    const stored = this.#knownNode.storage.getIncomingPayment(hexToBytes(paymentHash));
    if (stored === undefined) return undefined;
    return {
      paymentHash,
      amountMsat: stored.amountMsat,
      receivedAtMs: stored.receivedAtMs,
      records: new Map(decodeTlvStream(stored.records).map(({ type, value }) => [type, value])),
      cursor: String(stored.sequence),
    };
  }
}

function sameHints(a: AddressHints, b: AddressHints): boolean {
  const text = (hints: AddressHints) =>
    hintsText({ nodeId: '02'.padEnd(66, '0'), address: 'x@example.com', expires: 1, hints });
  return text(a) === text(b);
}
