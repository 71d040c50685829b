import { RivuletError } from '@rivulet/core/bytes';
import type { RivuletWalletClient } from '@rivulet/keysend';
import { ClientError, type NodeEvent, type NodeService } from '@rivulet/sdk';

/** The node of this process as its client would have it, without the HTTP between. */
export function localClient(service: NodeService): RivuletWalletClient {
  return {
    info: (request = {}) => answered(service.info(request)),
    channels: (request = {}) => answered(service.channels(request)),
    keysend: (request) => answered(service.keysend(request)),
    pay: (request) => answered(service.pay(request)),
    decodeInvoice: (request) => answered(service.decodeInvoice(request)),
    invoices: (request = {}) => answered(service.invoices(request)),
    // Page after page of a long list would keep everything else from its turn: nothing else here waits for anything.
    payments: async (request = {}) => {
      await new Promise((resolve) => setImmediate(resolve));
      return answered(service.payments(request));
    },
    payment: (request) => answered(service.payment(request)),
    signMessage: (request) => answered(service.signMessage(request)),
    heldKeysends: (request = {}) => answered(service.heldKeysends(request)),
    decideKeysend: (request) => answered(service.decideKeysend(request)),
    events: async ({ signal } = {}) => eventsOf(service, signal),
  };
}

/** What the node refuses is what a client would be told with status 422. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (!(cause instanceof RivuletError)) throw cause;
    const details =
      'details' in cause && typeof cause.details === 'object' && cause.details !== null
        ? (cause.details as Record<string, unknown>)
        : undefined;
    throw new ClientError(cause.code, cause.message, { status: 422, details, cause });
  }
}

/** Events wait here while their reader works; one that is slower than this reads the list of payments again. */
const maxWaiting = 1_000;

/** Events from now on. */
function eventsOf(service: NodeService, signal: AbortSignal | undefined): AsyncIterableIterator<NodeEvent> {
  let waiting: NodeEvent[] = [];
  let lagged = false;
  let ended = false;
  let wake: () => void = () => {};
  const unsubscribe = service.subscribe((event) => {
    if (waiting.length >= maxWaiting) lagged = true;
    else waiting.push(event);
    wake();
  });
  const end = (): void => {
    ended = true;
    unsubscribe();
    wake();
  };
  if (signal?.aborted === true) end();
  else signal?.addEventListener('abort', end, { once: true });
  return {
    async next() {
      for (;;) {
        if (ended) return { done: true, value: undefined };
        if (lagged) {
          waiting = [];
          lagged = false;
          throw new ClientError('events_lagged', 'this reader was too slow and missed some events');
        }
        const value = waiting.shift();
        if (value !== undefined) return { done: false, value };
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async return() {
      end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
