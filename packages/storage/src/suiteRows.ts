import type { IncomingPayment, OutgoingPayment } from './payments.js';
import type { NodeStorage, StoredChannel, StoredHtlc } from './storage.js';

/** What the tests of a topic get: the storage under test, empty at the start of each. */
export interface SuiteContext {
  readonly storage: NodeStorage;
  /** Closes it and opens it again where data outlives that. */
  reopen(): void;
  /** Closes it and opens it again, whether or not anything is left. */
  renew(): void;
}

export const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
export const hash = (value: number): Uint8Array => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};
export const nodeId = (value: number): Uint8Array => fill(33, value);
export const channel = (value: number, state = fill(40, value)): StoredChannel => ({
  channelId: fill(32, value),
  remoteNodeId: nodeId(value),
  state,
});
export const offered = (
  channelNumber: number,
  id: bigint,
  data = fill(60, Number(id & 0xffn)),
): StoredHtlc => ({
  channelId: fill(32, channelNumber),
  direction: 'offered',
  id,
  data,
});
export const outgoing = (value: number, more: Partial<OutgoingPayment> = {}): OutgoingPayment => ({
  direction: 'outgoing',
  paymentHash: hash(value),
  destination: nodeId(2),
  amountMsat: BigInt(value) * 1000n,
  feeMsat: 0n,
  status: 'pending',
  records: fill(5, 9),
  createdAtMs: 1_700_000_000_000 + value,
  ...more,
});
export const incoming = (value: number, more: Partial<IncomingPayment> = {}): IncomingPayment => ({
  direction: 'incoming',
  paymentHash: hash(value),
  preimage: fill(32, 7),
  amountMsat: 21_000n,
  status: 'settled',
  records: fill(300, 1),
  channelId: fill(32, 1),
  htlcId: BigInt(value),
  receivedAtMs: 1_700_000_000_000,
  ...more,
});

/** The code of what the action throws. */
export function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'nothing was thrown';
}
