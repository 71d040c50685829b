import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { checkUrl } from '../../address/urlPolicy.js';
import { formatTriggerSecret, parseTriggerSecret } from '../../automation/delivery.js';
import { KeysendError } from '../../keysendError.js';
import { sortableNumber } from '../../store/sortableKey.js';
import type { StoreReader, StoreTransaction, ToolkitStore } from '../../store/toolkitStore.js';
import type { BoostFilter } from '../boostFilter.js';
import { type BoostFilterJson, filterFromJson, filterToJson } from '../boostFilterJson.js';
import type { BoostStore } from '../boostStore.js';

/** Somebody who is told of received payments. */
export interface Webhook {
  /** Of 16 hex digits. */
  readonly id: string;
  readonly url: string;
  readonly filter: BoostFilter;
  readonly createdAtMs: number;
  /** Nothing is sent any more: its server answered 410, or somebody said so. */
  readonly disabled?: { readonly atMs: number; readonly reason: string };
}

/** A delivery that did not get through yet, or never will. */
export interface FailedDelivery {
  /** The delivery's id. */
  readonly id: string;
  readonly boostId: number;
  readonly attempts: number;
  readonly problem: string;
}

/** How far a webhook has come. */
export interface WebhookStatus extends Webhook {
  readonly delivered: number;
  readonly lastDeliveredAtMs?: number;
  /** Payments after the last one that it is done with, those that its filter leaves out among them. */
  readonly waiting: number;
  /** What is being tried again; all others wait for it. */
  readonly failing?: FailedDelivery & { readonly sinceMs: number; readonly retryAtMs: number };
  /** What was given up, at most 1,000 of them. */
  readonly dead: readonly (FailedDelivery & { readonly diedAtMs: number })[];
  /** How many were given up and are not listed any more. */
  readonly deadForgotten: number;
}

/** What is stored of a webhook's progress. Deliveries are not: they are the payments after `after`. */
export interface Line {
  /** The number of the last payment that is done with. */
  readonly after: number;
  readonly delivered: number;
  readonly lastDeliveredAtMs?: number;
  /** Since when nothing has got through; until the next delivery. */
  readonly failingSinceMs?: number;
  /** The last failure of these. */
  readonly failedAtMs?: number;
  readonly trying?: {
    readonly boostId: number;
    readonly attempts: number;
    readonly problem: string;
    readonly retryAtMs: number;
  };
  readonly deadCount: number;
  readonly deadForgotten: number;
}

export interface DeadDelivery {
  readonly boostId: number;
  readonly attempts: number;
  readonly problem: string;
  readonly diedAtMs: number;
}

interface HookRow {
  readonly url: string;
  readonly secret: string;
  readonly filter: BoostFilterJson;
  readonly createdAtMs: number;
  readonly disabled?: { readonly atMs: number; readonly reason: string };
}

const maxHooks = 100;
const maxDead = 1_000;
const minSecretLength = 16;
const hookPrefix = 'webhook/hook/';
const linePrefix = 'webhook/line/';
const deadPrefix = (id: string): string => `webhook/dead/${id}/`;
const deadKey = (id: string, boostId: number): string => deadPrefix(id) + sortableNumber(boostId);

/** Names the delivery of a payment to a webhook, for good. */
export function deliveryId(webhookId: string, boostId: number): string {
  return `${webhookId}-${boostId}`;
}

/** @throws KeysendError `not_found` */
export function parseDeliveryId(id: string): { webhookId: string; boostId: number } {
  const [, webhookId, boostId] = /^([0-9a-f]{16})-(\d{1,16})$/.exec(id) ?? [];
  if (webhookId === undefined) throw new KeysendError('not_found', `there is no delivery ${id.slice(0, 40)}`);
  return { webhookId, boostId: Number(boostId) };
}

/**
 * The webhooks of a store, and how far each has come. A payment needs no entry in a queue: it is to be delivered from
 * the moment it is stored, in the order of its number, and a webhook's place among these numbers is all that changes.
 */
export class WebhookStore {
  readonly #store: ToolkitStore;
  readonly #boosts: BoostStore;

  constructor({ store, boosts }: { readonly store: ToolkitStore; readonly boosts: BoostStore }) {
    this.#store = store;
    this.#boosts = boosts;
  }

  /**
   * @param given.secret `whsec_…` or hex digits; drawn where it is absent.
   * @param given.afterId it is told of payments with higher numbers; of new ones alone where it is absent.
   * @returns the secret too, which is not shown again.
   * @throws KeysendError `request_invalid`; `fetch_refused` for an address that is none.
   */
  add(
    given: {
      readonly url: string;
      readonly filter?: BoostFilter;
      readonly secret?: string;
      readonly afterId?: number;
    },
    { now, randomBytes }: { readonly now: () => number; readonly randomBytes: (count: number) => Uint8Array },
  ): { readonly webhook: Webhook; readonly secret: string } {
    const { filter = {}, afterId } = given;
    // Where it may lead is for whoever sends; here it has to be an address, and encrypted where it leaves the machine.
    const { href } = checkUrl(given.url, { allow: { loopback: true, private: true, onion: true } });
    const secret = given.secret === undefined ? randomBytes(32) : parseTriggerSecret(given.secret);
    if (secret.length < minSecretLength) {
      throw new KeysendError('request_invalid', `a secret has at least ${minSecretLength} bytes`);
    }
    const row: HookRow = {
      url: href,
      secret: bytesToHex(secret),
      // Read back, so that what is stored can be read.
      filter: filterToJson(filterFromJson(filterToJson(filter))),
      createdAtMs: now(),
    };
    const id = bytesToHex(randomBytes(8));
    this.#store.transaction((tx) => {
      if (tx.list({ prefix: hookPrefix }).length >= maxHooks) {
        throw new KeysendError('request_invalid', `there are ${maxHooks} webhooks already: remove one`);
      }
      tx.put(hookPrefix + id, JSON.stringify(row));
      putLine(tx, id, {
        after: afterId ?? this.#boosts.lastId(),
        delivered: 0,
        deadCount: 0,
        deadForgotten: 0,
      });
    });
    return { webhook: toWebhook(id, row), secret: formatTriggerSecret(secret) };
  }

  /** @throws KeysendError `not_found` */
  remove(id: string): void {
    this.#store.transaction((tx) => {
      rowOf(tx, id);
      tx.delete(hookPrefix + id);
      tx.delete(linePrefix + id);
      for (const { key } of tx.list({ prefix: deadPrefix(id) })) tx.delete(key);
    });
  }

  /** Ends or begins deliveries; what came in between is delivered then. @throws KeysendError `not_found` */
  disable(id: string, disabled: { readonly atMs: number; readonly reason: string } | undefined): void {
    this.#store.transaction((tx) => {
      const { disabled: _, ...row } = rowOf(tx, id);
      tx.put(hookPrefix + id, JSON.stringify(disabled === undefined ? row : { ...row, disabled }));
    });
  }

  list(): readonly Webhook[] {
    return this.#store
      .list({ prefix: hookPrefix })
      .map(({ key, value }) => toWebhook(key.slice(hookPrefix.length), JSON.parse(value) as HookRow));
  }

  /** @throws KeysendError `not_found` */
  secretOf(id: string): Uint8Array {
    return hexToBytes(rowOf(this.#store, id).secret);
  }

  /** `undefined` where it was removed. */
  get(id: string): Webhook | undefined {
    const value = this.#store.get(hookPrefix + id);
    return value === undefined ? undefined : toWebhook(id, JSON.parse(value) as HookRow);
  }

  status(): readonly WebhookStatus[] {
    const lastId = this.#boosts.lastId();
    return this.list().map((webhook) => {
      const { id } = webhook;
      const { after, delivered, lastDeliveredAtMs, failingSinceMs, trying, deadForgotten } = this.line(id);
      return {
        ...webhook,
        delivered,
        waiting: Math.max(0, lastId - after),
        dead: this.#store.list({ prefix: deadPrefix(id) }).map(({ value }) => {
          const dead = JSON.parse(value) as DeadDelivery;
          return { id: deliveryId(id, dead.boostId), ...dead };
        }),
        deadForgotten,
        ...(lastDeliveredAtMs === undefined ? {} : { lastDeliveredAtMs }),
        ...(trying === undefined
          ? {}
          : {
              failing: {
                id: deliveryId(id, trying.boostId),
                sinceMs: failingSinceMs ?? trying.retryAtMs,
                ...trying,
              },
            }),
      };
    });
  }

  /** The lowest number of a payment that some webhook may still need; nothing from it on may be forgotten. */
  keepFromId(): number {
    const needed = this.list()
      .filter(({ disabled }) => disabled === undefined)
      .map(({ id }) => this.line(id).after + 1);
    return Math.min(Number.MAX_SAFE_INTEGER, ...needed);
  }

  line(id: string): Line {
    return lineOf(this.#store, id);
  }

  /** Moves a line on, unless another process moved it or removed the webhook: then what was tried counts no more. */
  advance(
    id: string,
    from: number,
    change: (line: Line) => Line | { readonly line: Line; readonly dead: DeadDelivery },
  ): void {
    this.#store.transaction((tx) => {
      if (tx.get(hookPrefix + id) === undefined) return;
      const line = lineOf(tx, id);
      if (line.after !== from) return;
      const next = change(line);
      if (!('dead' in next)) {
        putLine(tx, id, next);
        return;
      }
      tx.put(deadKey(id, next.dead.boostId), JSON.stringify(next.dead));
      let { deadCount, deadForgotten } = next.line;
      deadCount++;
      if (deadCount > maxDead) {
        const [oldest] = tx.list({ prefix: deadPrefix(id), limit: 1 });
        if (oldest !== undefined) tx.delete(oldest.key);
        deadCount--;
        deadForgotten++;
      }
      putLine(tx, id, { ...next.line, deadCount, deadForgotten });
    });
  }

  /** One that had been given up got through after all. */
  revive(id: string, boostId: number, nowMs: number): void {
    this.#store.transaction((tx) => {
      const key = deadKey(id, boostId);
      if (tx.get(key) === undefined) return;
      tx.delete(key);
      const line = lineOf(tx, id);
      putLine(tx, id, {
        ...line,
        deadCount: line.deadCount - 1,
        delivered: line.delivered + 1,
        lastDeliveredAtMs: nowMs,
      });
    });
  }
}

function rowOf(reader: StoreReader, id: string): HookRow {
  const value = reader.get(hookPrefix + id);
  if (value === undefined) throw new KeysendError('not_found', `there is no webhook ${id.slice(0, 40)}`);
  return JSON.parse(value) as HookRow;
}

function lineOf(reader: StoreReader, id: string): Line {
  return JSON.parse(
    reader.get(linePrefix + id) ?? '{"after":0,"delivered":0,"deadCount":0,"deadForgotten":0}',
  ) as Line;
}

function putLine(tx: StoreTransaction, id: string, line: Line): void {
  tx.put(linePrefix + id, JSON.stringify(line));
}

function toWebhook(id: string, { url, filter, createdAtMs, disabled }: HookRow): Webhook {
  return {
    id,
    url,
    filter: filterFromJson(filter),
    createdAtMs,
    ...(disabled === undefined ? {} : { disabled }),
  };
}
