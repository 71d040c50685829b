import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bytesToHex, RivuletError } from '@rivulet/core/bytes';
import { encodeTransaction, txidToHex } from '@rivulet/core/tx';
import { readBody } from '../../http/readBody.js';
import type { Logger } from '../../logging/index.js';
import type { Scheduler } from '../../peers/index.js';
import { addressGroup, formatAddress } from '../../peers/ipAddress.js';
import { TokenBucket } from '../../peers/tokenBucket.js';
import { TowerError } from '../towerError.js';
import type { Tower } from './tower.js';
import { TowerRefusal, unavailable } from './towerRefusal.js';
import {
  readAddAppointment,
  readGetAppointment,
  readObject,
  readRegister,
  readSubscription,
} from './towerRequests.js';

export interface TowerHttpLimits {
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly closeGraceMs: number;
  readonly maxConnections: number;
  /** Of one address: who opens many and says nothing must not have them all. */
  readonly maxConnectionsPerAddress: number;
  /** What one address may ask. */
  readonly requests: { readonly capacity: number; readonly perSecond: number };
  /** What one address may register. */
  readonly registrations: { readonly capacity: number; readonly perSecond: number };
}

const defaultTowerHttpLimits: TowerHttpLimits = {
  maxBodyBytes: 32 * 1024,
  bodyTimeoutMs: 10_000,
  closeGraceMs: 1_000,
  maxConnections: 512,
  maxConnectionsPerAddress: 64,
  requests: { capacity: 2_000, perSecond: 200 },
  registrations: { capacity: 128, perSecond: 0.1 },
};

/** What a list of all locators costs of the budget: it may be long. */
const listCost = 50;
/** Addresses whose budgets are remembered. */
const maxBudgets = 10_000;

interface TowerHttpOptions {
  readonly tower: Tower;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly scheduler: Scheduler;
  readonly limits?: Partial<TowerHttpLimits>;
  readonly logger: Logger;
}

export interface TowerHttp {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves a tower over HTTP: POST /register, /add_appointment, /get_appointment, /get_subscription_info with bodies
 * of JSON, GET /ping. What is no success is answered as `{ "error", "error_code" }`.
 * @throws TowerError where it cannot listen there.
 */
export async function startTowerHttp(options: TowerHttpOptions): Promise<TowerHttp> {
  const { logger, scheduler } = options;
  const limits = { ...defaultTowerHttpLimits, ...options.limits };
  const handler = new TowerRequestHandler({ ...options, limits });
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 30_000,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      handler.handle(request, response).catch((error) => {
        // Our own fault: it costs this answer alone.
        logger.error({ err: error }, 'a request to the tower could not be answered');
        response.destroy();
      });
    },
  );
  server.maxConnections = limits.maxConnections;
  limitConnections(server, limits.maxConnectionsPerAddress);
  const where = formatAddress(options.host, options.port);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message = `the tower cannot listen on ${where} (${error.code}): choose another address or port`;
      reject(new TowerError('tower_address_unavailable', message, { cause: error }));
    });
    server.listen({ host: options.host, port: options.port }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: options.host,
    port,
    async close() {
      handler.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cancel = scheduler.schedule(limits.closeGraceMs, () => server.closeAllConnections());
      await closed;
      cancel();
    },
  };
}

function limitConnections(server: Server, most: number): void {
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = addressGroup(socket.remoteAddress ?? '');
    const count = (open.get(address) ?? 0) + 1;
    if (count > most) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}

interface Budgets {
  readonly requests: TokenBucket;
  readonly registrations: TokenBucket;
}

type HandlerOptions = TowerHttpOptions & { readonly limits: TowerHttpLimits };

class TowerRequestHandler {
  readonly #given: HandlerOptions;
  readonly #budgets = new Map<string, Budgets>();
  #closing = false;

  constructor(given: HandlerOptions) {
    this.#given = given;
  }

  close(): void {
    this.#closing = true;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#closing) throw unavailable('the tower stops');
      const path = (request.url ?? '/').split('?', 1)[0] as string;
      const budgets = this.#budgetsOf(request);
      if (!budgets.requests.take(path === '/get_subscription_info' ? listCost : 1))
        throw unavailable('too many requests from this address: come again later');
      if (path === '/ping') {
        requireMethod(request, 'GET');
        this.#reply(response, { status: 200 });
        return;
      }
      const call = this.#calls.get(path);
      if (call === undefined) throw new TowerRefusal('unexpected', 'there is no such endpoint', 404);
      requireMethod(request, 'POST');
      if (path === '/register' && !budgets.registrations.take()) {
        throw unavailable('too many registrations from this address: come again later');
      }
      const { limits, scheduler } = this.#given;
      const { maxBodyBytes: maxBytes, bodyTimeoutMs: timeoutMs } = limits;
      const fields = readObject(await readBody(request, { maxBytes, timeoutMs, scheduler }));
      this.#reply(response, { status: 200, body: await call(fields) });
    } catch (error) {
      this.#refuse({ request, response, error });
    }
  }

  readonly #calls = new Map<string, (fields: Readonly<Record<string, unknown>>) => unknown>([
    [
      '/register',
      async (fields) => {
        const user = await this.#given.tower.register(readRegister(fields).userId);
        return {
          user_id: bytesToHex(user.userId),
          available_slots: user.availableSlots,
          subscription_start: user.subscriptionStart,
          subscription_expiry: user.subscriptionExpiry,
          subscription_signature: user.signature,
        };
      },
    ],
    [
      '/add_appointment',
      async (fields) => {
        const { appointment, signature } = readAddAppointment(fields);
        const accepted = await this.#given.tower.addAppointment(appointment, signature);
        return {
          locator: bytesToHex(appointment.locator),
          start_block: accepted.startBlock,
          signature: accepted.signature,
          available_slots: accepted.user.availableSlots,
          subscription_expiry: accepted.user.subscriptionExpiry,
        };
      },
    ],
    [
      '/get_appointment',
      (fields) => {
        const { locator, signature } = readGetAppointment(fields);
        const found = this.#given.tower.getAppointment(locator, signature);
        if ('watched' in found) {
          const { encryptedBlob, toSelfDelay } = found.watched;
          return {
            appointment: {
              locator: bytesToHex(locator),
              encrypted_blob: bytesToHex(encryptedBlob),
              to_self_delay: toSelfDelay,
            },
            status: 'being_watched',
          };
        }
        const { stored, penalty, penaltyId } = found.answered;
        return {
          appointment: {
            dispute_txid: txidToHex(stored.disputeTxid),
            penalty_txid: bytesToHex(Uint8Array.from(Buffer.from(penaltyId, 'hex')).reverse()),
            penalty_rawtx: bytesToHex(encodeTransaction(penalty)),
          },
          status: 'dispute_responded',
        };
      },
    ],
    [
      '/get_subscription_info',
      (fields) => {
        const { user, locators } = this.#given.tower.subscription(readSubscription(fields).signature);
        return {
          available_slots: user.availableSlots,
          subscription_expiry: user.subscriptionExpiry,
          locators: locators.map(bytesToHex),
        };
      },
    ],
  ]);

  #budgetsOf({ socket }: IncomingMessage): Budgets {
    const key = addressGroup(socket.remoteAddress ?? '');
    const known = this.#budgets.get(key);
    if (known !== undefined) return known;
    if (this.#budgets.size >= maxBudgets) this.#makeRoom();
    const { scheduler, limits } = this.#given;
    const budgets = {
      requests: new TokenBucket(scheduler, limits.requests),
      registrations: new TokenBucket(scheduler, limits.registrations),
    };
    this.#budgets.set(key, budgets);
    return budgets;
  }

  /** Forgets budgets that are as good as new; the oldest one where none is. */
  #makeRoom(): void {
    for (const [key, { requests, registrations }] of this.#budgets) {
      if (requests.full && registrations.full) this.#budgets.delete(key);
    }
    const oldest = this.#budgets.keys().next();
    if (this.#budgets.size >= maxBudgets && !oldest.done) this.#budgets.delete(oldest.value);
  }

  #refuse(given: { request: IncomingMessage; response: ServerResponse; error: unknown }): void {
    const { request, response, error } = given;
    const { status, errorCode, message } = this.#describe(error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (!request.complete) {
      // The rest of a body that nobody wants: dropped as it comes, for a while, so that the answer is read.
      response.shouldKeepAlive = false;
      request.resume();
      const { scheduler, limits } = this.#given;
      const cancel = scheduler.schedule(limits.closeGraceMs, () => request.socket.destroy());
      request.socket.once('close', cancel);
    }
    this.#reply(response, { status, body: { error: message, error_code: errorCode } });
  }

  #describe(error: unknown): { status: number; errorCode: number; message: string } {
    if (error instanceof TowerRefusal) {
      const { status, errorCode, message } = error;
      return { status, errorCode, message };
    }
    if (error instanceof RivuletError && error.code === 'body_too_large') {
      return { status: 413, errorCode: 34, message: error.message };
    }
    if (
      error instanceof RivuletError &&
      (error.code === 'body_timeout' || error.code === 'invalid_request')
    ) {
      return { status: 400, errorCode: 6, message: error.message };
    }
    this.#given.logger.error({ err: error }, 'a request to the tower failed inside');
    return { status: 500, errorCode: 255, message: 'an internal error' };
  }

  #reply(response: ServerResponse, { status, body }: { status: number; body?: unknown }): void {
    const text = body === undefined ? '' : JSON.stringify(body);
    if (this.#closing) response.shouldKeepAlive = false;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(status === 503 ? { 'retry-after': '10' } : {}),
    });
    response.end(text);
  }
}

function requireMethod({ method }: IncomingMessage, wanted: 'GET' | 'POST'): void {
  if (method !== wanted) throw new TowerRefusal('unexpected', `this endpoint wants ${wanted}`, 405);
}
