import { equalBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { HtlcFact, Side } from './oracle.js';
import type { SettlementNode } from './settlementNode.js';

/** A payment that takes part in a situation. */
export interface PaymentFact {
  readonly payer: SettlementNode;
  readonly payee: SettlementNode;
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
  readonly paymentHash: Uint8Array;
  readonly preimage: Uint8Array;
  /** Its HTLCs were made without the payer's list of payments. */
  readonly raw: boolean;
  /** The payee has given the preimage away. */
  released: boolean;
}

export interface LineHtlc extends HtlcFact {
  readonly payment: PaymentFact;
}

/** A channel of ours as a situation needs it: kept while nodes come and go. */
export interface Line {
  readonly us: SettlementNode;
  readonly peer: SettlementNode;
  readonly opener: Side;
  readonly channelId: Uint8Array;
  readonly outpoint: Outpoint;
  readonly feeratePerKw: number;
  readonly dustLimitSat: bigint;
  /** Settled balances. */
  balanceMsat: Record<Side, bigint>;
  htlcs: LineHtlc[];
}

export function nodeOf(line: Line, side: Side): SettlementNode {
  return side === 'us' ? line.us : line.peer;
}

/** The channel as one side's node has it now. */
export function channelOf(line: Line, side: Side): Channel {
  const { node } = nodeOf(line, side);
  const found = node.channels.find(({ params }) => equalBytes(params.channelId, line.channelId));
  if (found === undefined) throw new Error(`${nodeOf(line, side).name} does not have the channel`);
  return found;
}

export function spendsFunding(line: Line, tx: Transaction): boolean {
  return tx.inputs.some(
    ({ outpoint }) => outpoint.index === line.outpoint.index && equalBytes(outpoint.txid, line.outpoint.txid),
  );
}
