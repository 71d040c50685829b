import { hexToBytes } from '@rivulet/core/bytes';
import type { RivuletNode } from '@rivulet/node';
import type { BenchMeasurement } from './benchResult.js';
import type { RivuletSendMany } from './rivuletChildProtocol.js';

/** How many more HTLCs the peer takes of us now, on all channels. */
function freeSlots(node: RivuletNode): number {
  let free = 0;
  for (const { params, phase, link, htlcs } of node.channels) {
    if (phase.name !== 'open' || link !== 'online') continue;
    free += params.remote.maxAcceptedHtlcs - htlcs.offeredCount;
  }
  return free;
}

/**
 * Keeps `inFlight` payments under way until all have settled; the first failure ends it. A payment is settled
 * when its preimage is stored; its HTLC takes its place in the channel a little longer, so that with as many
 * in flight as a channel holds, new ones wait for a place here.
 */
export function runKeysendLoad(node: RivuletNode, request: RivuletSendMany): Promise<BenchMeasurement> {
  const { amountMsat, payments, inFlight } = request;
  const destination = hexToBytes(request.destination);
  const customRecords = new Map<bigint, Uint8Array>();
  const latenciesMs = new Float64Array(payments);
  const settledAtMs = new Float64Array(payments);
  let started = 0;
  let settled = 0;
  /** Started, and not yet an HTLC of the channel: the node's next turn makes them one. */
  let queued = 0;
  let waiting = false;
  const begin = performance.now();

  return new Promise((resolve, reject) => {
    function startOne(): void {
      const startedAt = performance.now();
      started++;
      queued++;
      node.payments.outgoing.keysend({ destination, amountMsat, customRecords }).outcome.then(() => {
        const now = performance.now();
        latenciesMs[settled] = now - startedAt;
        settledAtMs[settled] = now - begin;
        settled++;
        if (settled === payments) resolve({ elapsedMs: now - begin, latenciesMs, settledAtMs });
        else startMore();
      }, reject);
    }

    function startMore(): void {
      const wanted = Math.min(payments - started, inFlight - (started - settled));
      if (wanted <= 0) return;
      const room = freeSlots(node) - queued;
      for (let i = Math.min(wanted, room); i > 0; i--) startOne();
      if (waiting) return;
      waiting = true;
      const again = (): void => {
        waiting = false;
        queued = 0;
        startMore();
      };
      // The node's turn was put on the queue before this, where payments were started.
      if (queued > 0) setImmediate(again);
      else setTimeout(again, 1);
    }

    startMore();
  });
}
