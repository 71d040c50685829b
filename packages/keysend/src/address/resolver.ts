import type { InvoiceCurrency } from '@rivulet/core/invoice';
import { KeysendError } from '../keysendError.js';
import { accountRecords } from '../records/writeRecord.js';
import type { Fetcher } from '../value/fetcher.js';
import type { Destination, DestinationResolver, Recipient } from '../value/recipient.js';
import { type KeysendAddress, parseKeysendAddress, wellKnownUrl } from './keysendAddress.js';
import { nodeIdOf, readKeysendAnswer } from './keysendAnswer.js';
import { fetchInvoice, readLnurlAnswer } from './lnurlPay.js';

export interface ResolveOptions {
  readonly fetcher: Fetcher;
  readonly now: () => number;
  readonly signal?: AbortSignal;
  /** For each of the two documents; 10 s where it is absent. */
  readonly timeoutMs?: number;
}

export interface ResolverOptions extends Omit<ResolveOptions, 'signal'> {
  /** Of invoices; `bc` (mainnet) where it is absent. */
  readonly currency?: InvoiceCurrency;
  /** How long an answer is taken again, and of how many addresses; 10 minutes and 500 where it is absent. */
  readonly cache?: { readonly ttlMs: number; readonly maxEntries: number };
}

const defaultTimeoutMs = 10_000;
const defaultCache = { ttlMs: 600_000, maxEntries: 500 };
const maxChecked = 1_000;
const maxKeysendBytes = 65_536;
/** Metadata may have a picture in it. */
const maxLnurlBytes = 262_144;

interface Resolved {
  readonly destination: Destination;
  /** It is not to be taken any longer than that. */
  readonly expiresAtMs?: number;
}

/**
 * Where an address is paid: by keysend where its host says so (`/.well-known/keysend/<name>`); by LNURL-pay
 * (`/.well-known/lnurlp/<name>`) only where it says that there is no keysend for this name, never because of a failure.
 * Hints (docs/keysend-address-hints.md) are in it where their signature is good and they are not expired.
 * @throws KeysendError `address_invalid`; `address_unknown` where the host knows neither; `address_unreachable` where it
 * cannot be known now.
 */
export async function resolveKeysendAddress(address: string, options: ResolveOptions): Promise<Destination> {
  return (await resolve(parseKeysendAddress(address), options)).destination;
}

async function resolve(address: KeysendAddress, options: ResolveOptions): Promise<Resolved> {
  const { fetcher, now, signal, timeoutMs = defaultTimeoutMs } = options;
  const get = async (kind: 'keysend' | 'lnurlp', maxBytes: number) => {
    try {
      const limits = { maxBytes, timeoutMs, ...(signal === undefined ? {} : { signal }) };
      return await fetcher(wellKnownUrl(address, kind), limits);
    } catch (cause) {
      if (!(cause instanceof KeysendError) || cause.code === 'stopped') throw cause;
      throw new KeysendError('address_unreachable', `${address.text}: ${cause.message}`, { cause });
    }
  };
  const keysend = readKeysendAnswer(await get('keysend', maxKeysendBytes), { address, nowMs: now() });
  if (keysend !== undefined) return keysend;
  const lnurl = readLnurlAnswer(await get('lnurlp', maxLnurlBytes), address);
  if (lnurl !== undefined) return { destination: lnurl };
  throw new KeysendError('address_unknown', `${address.text}: its host knows nobody of this name`);
}

/**
 * The resolver of an app or a daemon: node ids are checked, addresses are looked up and remembered for a while
 * (successes alone). What a recipient's row names as its account goes along in every case.
 */
export function createResolver(options: ResolverOptions): DestinationResolver {
  const { fetcher, now, currency = 'bc', timeoutMs = defaultTimeoutMs } = options;
  const { ttlMs, maxEntries } = options.cache ?? defaultCache;
  /** Whoever is paid again and again is a point of the curve still. */
  const checked = new Set<string>();
  const remembered = new Map<string, { readonly destination: Destination; readonly untilMs: number }>();

  const lookUp = async (address: KeysendAddress, signal: AbortSignal | undefined): Promise<Destination> => {
    const known = remembered.get(address.text);
    if (known !== undefined && known.untilMs > now()) return known.destination;
    const resolving = { fetcher, now, timeoutMs, ...(signal === undefined ? {} : { signal }) };
    const { destination, expiresAtMs = Number.POSITIVE_INFINITY } = await resolve(address, resolving);
    remembered.delete(address.text);
    const [oldest] = remembered.keys();
    if (oldest !== undefined && remembered.size >= maxEntries) remembered.delete(oldest);
    if (maxEntries > 0) {
      remembered.set(address.text, { destination, untilMs: Math.min(now() + ttlMs, expiresAtMs) });
    }
    return destination;
  };

  return {
    async resolve(recipient, { signal } = {}) {
      const own = ownRecords(recipient);
      if (recipient.type === 'node') {
        const { address } = recipient;
        const nodeId = checked.has(address) ? address : nodeIdOf(address);
        if (nodeId === undefined) {
          throw new KeysendError(
            'address_invalid',
            `${JSON.stringify(recipient.address.slice(0, 80))} is no public key of a node (66 hex digits)`,
          );
        }
        if (checked.size >= maxChecked) checked.clear();
        checked.add(nodeId);
        return { type: 'keysend', nodeId, records: own };
      }
      const destination = await lookUp(parseKeysendAddress(recipient.address), signal);
      if (destination.type !== 'keysend' || own.size === 0) return destination;
      // What the host says now is newer than what was written into a feed.
      return { ...destination, records: new Map([...own, ...destination.records]) };
    },
    invoice: (destination, request) =>
      fetchInvoice(destination, request, { fetcher, nowMs: now, currency, timeoutMs }),
  };
}

function ownRecords({ customKey, customValue }: Recipient): ReadonlyMap<bigint, Uint8Array> {
  try {
    return accountRecords({ customKey, customValue });
  } catch (cause) {
    if (!(cause instanceof KeysendError)) throw cause;
    throw new KeysendError('address_invalid', `the recipient's account is unusable: ${cause.message}`, {
      cause,
    });
  }
}
