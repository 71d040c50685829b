import { compareBytes } from '../bytes/index.js';
import { dustThresholdSat, scriptType } from './script.js';
import { type Outpoint, type Transaction, type TxOutput, unsignedInput } from './transaction.js';
import { TransactionError } from './transactionError.js';
import { fundingWitnessWeight } from './weights.js';

/** BOLT 3: Transaction Output Ordering, for outputs that are no HTLCs. */
export function compareOutputs(a: TxOutput, b: TxOutput): number {
  if (a.valueSat !== b.valueSat) return a.valueSat < b.valueSat ? -1 : 1;
  return compareBytes(a.script, b.script);
}

function closingTransaction({
  fundingOutpoint,
  sequence,
  lockTime,
  outputs,
}: {
  fundingOutpoint: Outpoint;
  sequence: number;
  lockTime: number;
  outputs: readonly TxOutput[];
}): Transaction {
  if (outputs.length === 0) throw new TransactionError('the closing transaction would have no outputs');
  return {
    version: 2,
    lockTime,
    inputs: [unsignedInput(fundingOutpoint, sequence)],
    outputs: [...outputs].sort(compareOutputs),
  };
}

function afterFee(balanceMsat: bigint, feeSat: bigint): bigint {
  const valueSat = balanceMsat / 1000n - feeSat;
  if (valueSat < 0n) throw new TransactionError(`a closing fee of ${feeSat} sat exceeds the payer's balance`);
  return valueSat;
}

/** The expected weight of a closing transaction with these output scripts. */
export function closingTxWeight(scripts: readonly Uint8Array[]): number {
  let size = 4 + 1 + 41 + 1 + 4;
  for (const script of scripts) size += 9 + script.length;
  return 4 * size + 2 + fundingWitnessWeight;
}

/** A closing transaction of `closing_signed`. `local` is the side whose point of view is taken. */
export interface LegacyClosingParams {
  fundingOutpoint: Outpoint;
  toLocalMsat: bigint;
  toRemoteMsat: bigint;
  localScript: Uint8Array;
  remoteScript: Uint8Array;
  /** Paid by the channel's opener. */
  feeSat: bigint;
  localIsOpener: boolean;
  /** Outputs below it are removed: the local one when signing. */
  dustLimitSat: bigint;
  /** Either side may eliminate its own output: which variant it signed shows only in its signature. */
  omit?: 'local' | 'remote';
}

/**
 * Builds the closing transaction of the legacy negotiation, unsigned (BOLT 3: Legacy Closing Transaction).
 * @throws TransactionError when the opener cannot pay the fee or no output is left.
 */
export function buildLegacyClosingTx(params: LegacyClosingParams): Transaction {
  const { fundingOutpoint, feeSat, localIsOpener, dustLimitSat, omit } = params;
  const localSat = afterFee(params.toLocalMsat, localIsOpener ? feeSat : 0n);
  const remoteSat = afterFee(params.toRemoteMsat, localIsOpener ? 0n : feeSat);
  const outputs: TxOutput[] = [];
  if (omit !== 'local' && localSat >= dustLimitSat) {
    outputs.push({ valueSat: localSat, script: params.localScript });
  }
  if (omit !== 'remote' && remoteSat >= dustLimitSat) {
    outputs.push({ valueSat: remoteSat, script: params.remoteScript });
  }
  return closingTransaction({ fundingOutpoint, sequence: 0xffffffff, lockTime: 0, outputs });
}

/** Which outputs a closing transaction of `closing_complete` has: the names of its TLVs. */
export type ClosingVariant = 'closer_output_only' | 'closee_output_only' | 'closer_and_closee_outputs';

/** The balances, scripts and fee that `closing_complete` is about. The closer, its sender, pays the fee. */
export interface ClosingTerms {
  closerMsat: bigint;
  closeeMsat: bigint;
  closerScript: Uint8Array;
  closeeScript: Uint8Array;
  feeSat: bigint;
}

function isOpReturn(script: Uint8Array): boolean {
  return scriptType(script) === 'op_return';
}

function closerOutput({ closerMsat, closerScript, feeSat }: ClosingTerms): TxOutput {
  const valueSat = afterFee(closerMsat, feeSat);
  return { valueSat: isOpReturn(closerScript) ? 0n : valueSat, script: closerScript };
}

function closeeOutput({
  closeeMsat,
  closeeScript,
}: Pick<ClosingTerms, 'closeeMsat' | 'closeeScript'>): TxOutput {
  return { valueSat: isOpReturn(closeeScript) ? 0n : closeeMsat / 1000n, script: closeeScript };
}

function isDust({ valueSat, script }: TxOutput): boolean {
  return valueSat < dustThresholdSat(script);
}

/**
 * Builds the closing transaction of option_simple_close, unsigned (BOLT 3: Closing Transaction).
 * @throws TransactionError when the closer cannot pay the fee.
 */
export function buildClosingTx(
  params: ClosingTerms & { fundingOutpoint: Outpoint; lockTime: number; variant: ClosingVariant },
): Transaction {
  const { fundingOutpoint, lockTime, variant } = params;
  const closer = closerOutput(params);
  const closee = closeeOutput(params);
  const outputs: Record<ClosingVariant, TxOutput[]> = {
    closer_output_only: [closer],
    closee_output_only: [closee],
    closer_and_closee_outputs: [closer, closee],
  };
  return closingTransaction({ fundingOutpoint, sequence: 0xfffffffd, lockTime, outputs: outputs[variant] });
}

/**
 * The variants that the closer has to sign. Empty when both outputs would be dust: it must choose a
 * lower fee, or an OP_RETURN script.
 * @throws TransactionError when the closer cannot pay the fee.
 */
export function closerVariants(terms: ClosingTerms): ClosingVariant[] {
  // BOLT 2: closing_complete, the closer
  const closerDust = isDust(closerOutput(terms));
  const closeeDust = isDust(closeeOutput(terms));
  if (closerDust && closeeDust) return [];
  if (terms.closerMsat < terms.closeeMsat) {
    return [closerDust ? 'closee_output_only' : 'closer_and_closee_outputs'];
  }
  return closeeDust ? ['closer_output_only'] : ['closer_output_only', 'closer_and_closee_outputs'];
}

/**
 * The variant that the closee validates and signs, of those that the closer has `signed`; `undefined`
 * when the one it needs is missing: then the closer is at fault. The closee gives up its own output
 * below `minimumSat` (what it considers uneconomical).
 */
export function closeeVariant({
  signed,
  minimumSat = 0n,
  ...terms
}: Pick<ClosingTerms, 'closeeMsat' | 'closeeScript'> & {
  signed: readonly ClosingVariant[];
  minimumSat?: bigint;
}): ClosingVariant | undefined {
  // BOLT 2: closing_complete, the closee: select a signature for validation
  const output = closeeOutput(terms);
  const omitted = isDust(output) || (output.valueSat < minimumSat && !isOpReturn(output.script));
  const wanted: ClosingVariant = omitted
    ? 'closer_output_only'
    : signed.includes('closer_and_closee_outputs')
      ? 'closer_and_closee_outputs'
      : 'closee_output_only';
  return signed.includes(wanted) ? wanted : undefined;
}
