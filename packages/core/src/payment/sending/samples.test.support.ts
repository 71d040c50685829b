import { hmacSha256, secp256k1, sha256 } from '../../crypto/index.js';
import type { DirectedChannel, FirstHop, Route, RouteRequest, RouteResult } from '../../graph/index.js';
import type { PaymentRequest } from './paymentRequest.js';
import type { SendingContext } from './planSending.js';

/** A private key of the node of this number; we are node 0. */
export function privateKeyOf(node: number): Uint8Array {
  return sha256(Uint8Array.of(0x4e, node >> 8, node & 0xff));
}

const publicKeys = new Map<number, Uint8Array>();

export function nodeId(node: number): Uint8Array {
  let key = publicKeys.get(node);
  if (key === undefined) publicKeys.set(node, (key = secp256k1.publicKey(privateKeyOf(node))));
  return key;
}

export const preimage = sha256(Uint8Array.of(1, 2, 3));
export const sessionKeyOf = (id: number) =>
  hmacSha256(sha256(Uint8Array.of(9)), Uint8Array.of(id >> 8, id & 0xff));
export const blockHeight = 800_000;

export function requestTo(destination: number, change: Partial<PaymentRequest> = {}): PaymentRequest {
  return {
    paymentHash: sha256(preimage),
    destination: nodeId(destination),
    amountMsat: 1_000_000n,
    kind: { type: 'keysend', preimage },
    customRecords: new Map(),
    finalCltvDelta: 80,
    hints: [],
    maxFeeMsat: 10_000n,
    maxCltvDelta: 2016,
    maxParts: 1,
    maxAttempts: 10,
    deadlineMs: 100_000,
    ...change,
  };
}

/** A way from us over these nodes, each of which takes 1 sat and 40 blocks: channel i leads to hop i. */
export function routeOver(
  nodes: readonly number[],
  { amountMsat = 1_000_000n, feeMsat = 1000n, channels = nodes.map((_, i) => BigInt(i + 1)) } = {},
): Route {
  const forwarders = nodes.length - 1;
  return {
    hops: nodes.map((node, i) => ({
      nodeId: nodeId(node),
      shortChannelId: channels[i] as bigint,
      direction: 0,
      amountMsat: amountMsat + feeMsat * BigInt(forwarders - i),
      cltvDelta: 80 + 40 * (forwarders - i),
    })),
    amountMsat,
    feeMsat: feeMsat * BigInt(forwarders),
    probability: 0.75,
  };
}

export function firstHop(change: Partial<FirstHop> = {}): FirstHop {
  return { nodeId: nodeId(1), shortChannelId: 1n, spendableMsat: 100_000_000n, minimumMsat: 1n, ...change };
}

/** A context in which the search gives these answers one after the other, the last one for ever. */
export function contextWith(
  answers: readonly (RouteResult | readonly Route[])[],
  change: Partial<SendingContext> = {},
): SendingContext & { readonly asked: RouteRequest[] } {
  const asked: RouteRequest[] = [];
  return {
    blockHeight,
    nowMs: 1000,
    source: nodeId(0),
    firstHops: [firstHop()],
    inFlightMsat: new Map<DirectedChannel, bigint>(),
    sessionKeyOf,
    findRoutes: (request) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
      asked.push(request);
      return 'type' in answer ? answer : { type: 'found', routes: answer };
    },
    ...change,
    asked,
  };
}
