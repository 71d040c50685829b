import type { IncomingMessage, ServerResponse } from 'node:http';
import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import type { StoreReader, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { pause, type Schedule } from '../timing/schedule.js';
import { amountText } from '../value/amountText.js';
import type { ReceivedPayment, Wallet } from '../wallets/wallet.js';
import { type PaywallToken, PaywallTokens } from './paywallToken.js';
import { type HttpHandler, sendJson } from './webhookServer.js';

/** The record that carries the token of a paywall, raw. Odd: nodes that do not know it take the payment. */
export const paywallRecord = 1_380_537_701n;

export interface PaywallOptions {
  readonly store: ToolkitStore;
  /** 32 bytes that nobody else knows; those of the toolkit. */
  readonly secret: Uint8Array;
  /** Who is to be paid: 66 hex digits. */
  readonly nodeId: string;
  /** In msat; 0 for what is free. It holds for this request: a later one may cost something else. */
  readonly price: (request: IncomingMessage) => bigint;
  /**
   * `request`: a token is good for the request that it was asked for (its method and URL), as often as it was paid.
   * `credit`: what was paid for a token can be used up for anything behind this paywall.
   */
  readonly mode: 'request' | 'credit';
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly schedule: Schedule;
  /** Tells paywalls of one store apart; `main` where it is absent. */
  readonly name?: string;
  /** How long a new token can be paid; 900 seconds where it is absent. What is paid stays paid. */
  readonly challengeSeconds?: number;
  /** The longest that a request may wait for its payment (`Prefer: wait=10`); 30 seconds where it is absent. */
  readonly maxWaitSeconds?: number;
  /** How many may wait at once; 1,000 where it is absent. */
  readonly maxWaiting?: number;
}

/** A request that was paid for. */
export interface PaywallGrant {
  readonly costMsat: bigint;
  /** What is left of the token. */
  readonly balanceMsat: bigint;
  /** Gives the cost back, once: where the request could not be answered after all. */
  readonly refund: () => void;
}

interface Account {
  readonly paidMsat: bigint;
  readonly spentMsat: bigint;
}

/** Between two tries to reach the wallet. */
const firstDelayMs = 500;
const maxDelayMs = 30_000;

/** How many payments of others go by until their place in the list is stored. */
const cursorEvery = 50;

/**
 * Lets requests pass once they are paid by keysend (HTTP 402).
 *
 * 1. A request without a token is answered with 402 and, in headers and as JSON, how to pay:
 *    `WWW-Authenticate: Keysend node="…", amount_msat="…", record="1380537701", token="…", expires="<Unix seconds>"`
 *    `{error: {code, message}, pay: {method: "keysend", nodeId, amountMsat, records: {"1380537701": "<hex>"}, token,
 *    expiresAt}}`
 * 2. The client sends a keysend of at least that amount to that node, with that record.
 * 3. It asks again with `Authorization: Keysend <token>`, and with `Prefer: wait=10` where it wants to wait for the
 *    payment to arrive. The answer has `Keysend-Cost` and `Keysend-Balance`, in msat. Where too little was paid, it is
 *    402 again, with the same token and what is missing.
 *
 * Tokens are not stored until they are paid: they are signed, and nobody else can make one. Each payment counts once,
 * each request is taken off in the transaction before it is let through. Who has a token can use it up: serve this over
 * TLS.
 */
export class Paywall {
  readonly #options: PaywallOptions;
  readonly #tokens: PaywallTokens;
  readonly #prefix: string;
  readonly #waiting = new Map<string, Set<() => void>>();
  #waitingCount = 0;
  #unstoredCursors = 0;

  constructor(options: PaywallOptions) {
    this.#options = options;
    const { secret, name = 'main' } = options;
    if (!/^[a-z0-9-]{1,40}$/.test(name)) {
      throw new KeysendError('request_invalid', 'the name of a paywall has 1 to 40 of a-z, 0-9 and -');
    }
    this.#tokens = new PaywallTokens(hmacSha256(secret, utf8ToBytes(`rivulet/keysend/paywall/1\0${name}`)));
    this.#prefix = `paywall/${name}/`;
  }

  /** Lets requests through to `next` once they are paid; gives the cost back where `next` fails before it answers. */
  protect(
    next: (request: IncomingMessage, response: ServerResponse, grant: PaywallGrant) => void | Promise<void>,
  ): HttpHandler {
    return (request, response) => {
      this.pass(request, response)
        .then(async (grant) => {
          if (grant === undefined) return;
          try {
            await next(request, response, grant);
          } catch (error) {
            // Else who hangs up just before the end would have it for nothing, again and again.
            if (!response.headersSent) grant.refund();
            throw error;
          }
        })
        .catch(() => {
          if (response.headersSent) response.destroy();
          else sendJson(response, 500, { error: { code: 'internal_error', message: 'this is our fault' } });
        });
    };
  }

  /**
   * Takes the price of a request off its token.
   * @returns undefined where it was not paid: then it is answered already, with 402.
   */
  async pass(request: IncomingMessage, response: ServerResponse): Promise<PaywallGrant | undefined> {
    const costMsat = this.#options.price(request);
    if (costMsat <= 0n) return { costMsat: 0n, balanceMsat: 0n, refund() {} };
    const resource = this.#resourceOf(request);
    const text = /^Keysend ([\w-]{1,200})$/.exec(request.headers.authorization ?? '')?.[1];
    if (text === undefined) {
      return this.#challenge(response, { costMsat, resource, code: 'payment_required' });
    }
    const token = this.#tokens.verify(text, resource);
    if (token === undefined) {
      return this.#challenge(response, { costMsat, resource, code: 'token_invalid' });
    }
    const grant = this.#spend(token, costMsat) ?? (await this.#wait(token, { costMsat, request, response }));
    if (grant === undefined) {
      return this.#challenge(response, { costMsat, resource, token, code: 'payment_required' });
    }
    response.setHeader('keysend-cost', costMsat.toString());
    response.setHeader('keysend-balance', grant.balanceMsat.toString());
    return grant;
  }

  /**
   * Counts a payment that has arrived, once, and remembers how far the list was read.
   * @returns whether it was for this paywall.
   */
  receive(payment: ReceivedPayment): boolean {
    const { store } = this.#options;
    const bytes = payment.records.get(paywallRecord);
    const token = bytes === undefined ? undefined : this.#tokens.verifyBytes(bytes);
    if (token === undefined) {
      if (++this.#unstoredCursors >= cursorEvery) this.#storeCursor(payment.cursor);
      return false;
    }
    store.transaction((tx) => {
      tx.put(`${this.#prefix}cursor`, payment.cursor);
      const seen = `${this.#prefix}payment/${payment.paymentHash}`;
      if (tx.get(seen) !== undefined) return;
      tx.put(seen, payment.amountMsat.toString());
      const account = this.#account(tx, token.id);
      this.#putAccount(tx, token.id, { ...account, paidMsat: account.paidMsat + payment.amountMsat });
    });
    this.#unstoredCursors = 0;
    for (const wake of this.#waiting.get(token.id) ?? []) wake();
    return true;
  }

  /**
   * Counts what arrives in a wallet, from where it was read last, until the signal aborts. A connection that is lost
   * is opened again.
   * @throws KeysendError `wallet_cannot` for a wallet that does not tell the records of what arrives.
   */
  async follow(
    wallet: Wallet,
    { signal, onProblem }: { signal: AbortSignal; onProblem?: (error: unknown) => void },
  ): Promise<void> {
    const { receives } = await wallet.capabilities({ signal });
    if (receives !== 'records') {
      throw new KeysendError(
        'wallet_cannot',
        `this ${wallet.kind} wallet does not tell the records of payments`,
      );
    }
    let delayMs = firstDelayMs;
    while (!signal.aborted) {
      try {
        const after = this.#options.store.get(`${this.#prefix}cursor`);
        for await (const payment of wallet.subscribe({ signal, ...(after === undefined ? {} : { after }) })) {
          delayMs = firstDelayMs;
          this.receive(payment);
        }
      } catch (error) {
        if (signal.aborted) return;
        onProblem?.(error);
      }
      await pause(this.#options.schedule, delayMs, signal);
      delayMs = Math.min(delayMs * 2, maxDelayMs);
    }
  }

  #resourceOf({ method = '', url = '' }: IncomingMessage): string | undefined {
    return this.#options.mode === 'credit' ? undefined : `${method} ${url}`;
  }

  #challenge(
    response: ServerResponse,
    given: { costMsat: bigint; resource: string | undefined; code: string; token?: PaywallToken },
  ): undefined {
    const { now, randomBytes, nodeId, challengeSeconds = 900, store } = this.#options;
    const { costMsat, resource, code } = given;
    const paid = given.token === undefined ? undefined : this.#account(store, given.token.id);
    const isAlive = paid !== undefined && (paid.paidMsat > 0n || (given.token?.expiresAtMs ?? 0) > now());
    const expiresAtMs = now() + challengeSeconds * 1000;
    const token =
      given.token !== undefined && isAlive
        ? given.token
        : this.#tokens.create({ id: randomBytes(16), resource, expiresAtMs });
    const left = isAlive ? paid.paidMsat - paid.spentMsat : 0n;
    const missing = (costMsat - left).toString();
    const record = paywallRecord.toString();
    const expires = Math.floor(token.expiresAtMs / 1000);
    response.setHeader(
      'www-authenticate',
      `Keysend node="${nodeId}", amount_msat="${missing}", record="${record}", token="${token.text}", expires="${expires}"`,
    );
    sendJson(response, 402, {
      error: { code, message: `${amountText(missing)} are to be paid by keysend first` },
      pay: {
        method: 'keysend',
        nodeId,
        amountMsat: missing,
        records: { [record]: bytesToHex(token.bytes) },
        token: token.text,
        expiresAt: new Date(token.expiresAtMs).toISOString(),
      },
    });
    return undefined;
  }

  /** Takes the cost off, where enough is left. */
  #spend(token: PaywallToken, costMsat: bigint): PaywallGrant | undefined {
    const { store } = this.#options;
    const { id } = token;
    // Most of those who ask without having paid do not even cost a transaction.
    if (this.#left(store, id) < costMsat) return undefined;
    const balanceMsat = store.transaction((tx) => {
      const account = this.#account(tx, id);
      const left = account.paidMsat - account.spentMsat - costMsat;
      if (left < 0n) return undefined;
      this.#putAccount(tx, id, { ...account, spentMsat: account.spentMsat + costMsat });
      return left;
    });
    if (balanceMsat === undefined) return undefined;
    let isRefunded = false;
    const refund = (): void => {
      if (isRefunded) return;
      isRefunded = true;
      store.transaction((tx) => {
        const account = this.#account(tx, id);
        this.#putAccount(tx, id, { ...account, spentMsat: account.spentMsat - costMsat });
      });
    };
    return { costMsat, balanceMsat, refund };
  }

  /** Waits for a payment as long as the client wants to, within bounds. */
  async #wait(
    token: PaywallToken,
    given: { costMsat: bigint; request: IncomingMessage; response: ServerResponse },
  ): Promise<PaywallGrant | undefined> {
    const { costMsat, request, response } = given;
    const { maxWaitSeconds = 30, maxWaiting = 1_000, schedule } = this.#options;
    const wanted = Number(/(?:^|[\s,;])wait=(\d{1,4})/.exec(String(request.headers.prefer ?? ''))?.[1] ?? 0);
    const seconds = Math.min(wanted, maxWaitSeconds);
    if (seconds === 0 || this.#waitingCount >= maxWaiting) return undefined;
    this.#waitingCount++;
    const wakes = this.#waiting.get(token.id) ?? new Set();
    this.#waiting.set(token.id, wakes);
    try {
      return await new Promise<PaywallGrant | undefined>((resolve, reject) => {
        const end = (): void => {
          cancel();
          wakes.delete(look);
          response.off('close', leave);
        };
        const finish = (grant: PaywallGrant | undefined): void => {
          end();
          resolve(grant);
        };
        const look = (): void => {
          try {
            const grant = this.#spend(token, costMsat);
            if (grant !== undefined) finish(grant);
          } catch (error) {
            // Nobody waits any more: nothing may be taken off later.
            end();
            reject(error);
          }
        };
        const leave = (): void => finish(undefined);
        const cancel = schedule(seconds * 1000, () => {
          // Another process may have counted it.
          look();
          finish(undefined);
        });
        wakes.add(look);
        response.on('close', leave);
      });
    } finally {
      this.#waitingCount--;
      if (wakes.size === 0) this.#waiting.delete(token.id);
    }
  }

  #left(reader: StoreReader, id: string): bigint {
    const { paidMsat, spentMsat } = this.#account(reader, id);
    return paidMsat - spentMsat;
  }

  #account(reader: StoreReader, id: string): Account {
    const text = reader.get(`${this.#prefix}account/${id}`);
    if (text === undefined) return { paidMsat: 0n, spentMsat: 0n };
    const [paid = '0', spent = '0'] = text.split(' ');
    return { paidMsat: BigInt(paid), spentMsat: BigInt(spent) };
  }

  #putAccount(tx: StoreTransaction, id: string, { paidMsat, spentMsat }: Account): void {
    tx.put(`${this.#prefix}account/${id}`, `${paidMsat} ${spentMsat}`);
  }

  #storeCursor(cursor: string): void {
    this.#options.store.transaction((tx) => tx.put(`${this.#prefix}cursor`, cursor));
    this.#unstoredCursors = 0;
  }
}
