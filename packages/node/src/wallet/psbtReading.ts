import { equalBytes } from '@rivulet/core/bytes';
import {
  decodeTransaction,
  type Outpoint,
  type Transaction,
  type TxOutput,
  txid as txidOf,
} from '@rivulet/core/tx';
import { Transaction as PsbtTransaction, RawTx, SigHash } from '@scure/btc-signer';
import { outpointText } from './coinStates.js';
import { outpointKey, type WalletCoin } from './ledger.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { txKey } from './walletStore.js';

type PsbtInput = ReturnType<PsbtTransaction['getInput']>;

export interface ReadInput {
  readonly outpoint: Outpoint;
  /** What it spends: of ours as our ledger has it, of others as the PSBT says; absent where it says nothing. */
  readonly spent?: TxOutput | undefined;
  /** Ours, if it is. */
  readonly coin?: WalletCoin | undefined;
  readonly signed: boolean;
  /** Its taproot signature shall say SIGHASH_ALL. */
  readonly explicitAll: boolean;
}

export interface ReadPsbt {
  readonly psbt: PsbtTransaction;
  /** Without any witness. */
  readonly tx: Transaction;
  readonly txid: Uint8Array;
  readonly inputs: readonly ReadInput[];
  /** Inputs minus outputs, as far as the PSBT is to be believed about inputs of others. */
  readonly feeSat?: bigint | undefined;
}

/** More has no use, and would have to be held in memory several times. */
const maxPsbtBytes = 1_000_000;

const refuse = (message: string): WalletError => new WalletError('psbt_refused', message);

/**
 * Reads a PSBT (BIP 174 or 370) and holds against our own ledger what it says of our coins.
 * @throws WalletError `psbt_malformed`, `psbt_refused`
 */
export function readPsbt(state: WalletState, bytes: Uint8Array): ReadPsbt {
  const { psbt, tx } = decodePsbt(bytes);
  const txid = txidOf(tx);
  const seen = new Set<string>();
  const inputs = tx.inputs.map(({ outpoint }, index) => {
    const key = outpointKey(outpoint);
    if (seen.has(key)) throw refuse(`this PSBT spends ${outpointText(outpoint)} twice`);
    seen.add(key);
    return readInput(state, { input: psbt.getInput(index), outpoint, txid });
  });
  let feeSat: bigint | undefined = 0n;
  for (const { spent } of inputs) {
    if (spent === undefined || feeSat === undefined) feeSat = undefined;
    else feeSat += spent.valueSat;
  }
  if (feeSat !== undefined) for (const { valueSat } of tx.outputs) feeSat -= valueSat;
  if (feeSat !== undefined && feeSat < 0n) throw refuse('the outputs of this PSBT are more than its inputs');
  return { psbt, tx, txid, inputs, feeSat };
}

function decodePsbt(bytes: Uint8Array): { psbt: PsbtTransaction; tx: Transaction } {
  if (bytes.length > maxPsbtBytes) {
    throw new WalletError('psbt_malformed', `a PSBT of more than ${maxPsbtBytes} bytes is not taken`);
  }
  try {
    const psbt = PsbtTransaction.fromPSBT(bytes, {
      allowUnknownInputs: true,
      allowUnknownOutputs: true,
      allowUnknownVersion: true,
      disableScriptCheck: true,
      unknown: 'ignore',
      proprietary: 'ignore',
    });
    const tx = decodeTransaction(psbt.unsignedTx);
    if (tx.inputs.length === 0 || tx.outputs.length === 0)
      throw new RangeError('it has no inputs or no outputs');
    return { psbt, tx };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it cannot be read';
    throw new WalletError('psbt_malformed', `this is no PSBT that can be read (${why})`, { cause });
  }
}

function readInput(
  state: WalletState,
  { input, outpoint, txid }: { input: PsbtInput; outpoint: Outpoint; txid: Uint8Array },
): ReadInput {
  const claims = claimsOf(input, outpoint);
  const coin = state.ledger.output(outpoint);
  if (coin === undefined) {
    for (const { script } of claims) {
      if (state.isOurs(script)) {
        throw refuse(
          `this PSBT says that ${outpointText(outpoint)} is ours, and our blocks have no such coin`,
        );
      }
    }
    return { outpoint, spent: claims[0], signed: isSigned(input), explicitAll: false };
  }
  const spent = { valueSat: coin.valueSat, script: coin.key.script };
  for (const claim of claims) {
    if (claim.valueSat !== spent.valueSat || !equalBytes(claim.script, spent.script)) {
      throw refuse(
        `this PSBT says that our coin ${outpointText(outpoint)} has ${claim.valueSat} sat; it has ${spent.valueSat} sat, at another script or of another amount`,
      );
    }
  }
  const [spender] = state.ledger.spenders([outpointKey(outpoint)]);
  if (spender !== undefined && spender !== txKey(txid)) {
    throw refuse(`our coin ${outpointText(outpoint)} is spent by another transaction already`);
  }
  checkOwn(input, outpoint, coin);
  return { outpoint, spent, coin, signed: isSigned(input), explicitAll: isExplicit(input, coin) };
}

const isExplicit = (input: PsbtInput, coin: WalletCoin): boolean =>
  coin.key.keychain.type === 'p2tr' && input.sighashType === SigHash.ALL;

/** What it asks of our signature. */
function checkOwn(input: PsbtInput, outpoint: Outpoint, coin: WalletCoin): void {
  const { sighashType } = input;
  const whole =
    sighashType === undefined ||
    sighashType === SigHash.ALL ||
    (sighashType === SigHash.DEFAULT && coin.key.keychain.type === 'p2tr');
  if (!whole) {
    throw refuse(
      `this PSBT asks for a signature of ${outpointText(outpoint)} with sighash type ${sighashType}, which others could use for another transaction: only SIGHASH_ALL and DEFAULT are signed`,
    );
  }
  const scripts = input.redeemScript ?? input.witnessScript ?? input.tapMerkleRoot ?? input.tapLeafScript;
  if (scripts !== undefined && scripts.length > 0) {
    throw refuse(`our coin ${outpointText(outpoint)} has no scripts, and this PSBT gives it some`);
  }
}

const isSigned = ({ finalScriptWitness, finalScriptSig, partialSig, tapKeySig }: PsbtInput): boolean =>
  [finalScriptWitness, finalScriptSig, partialSig, tapKeySig].some(
    (part) => part !== undefined && part.length > 0,
  );

/** What a PSBT says of the output that an input spends: once or twice. */
function claimsOf({ witnessUtxo, nonWitnessUtxo }: PsbtInput, outpoint: Outpoint): TxOutput[] {
  const claims: TxOutput[] = [];
  if (witnessUtxo !== undefined) {
    claims.push({ valueSat: witnessUtxo.amount, script: Uint8Array.from(witnessUtxo.script) });
  }
  if (nonWitnessUtxo !== undefined) {
    const previous = decodeTransaction(RawTx.encode(nonWitnessUtxo));
    const output = previous.outputs[outpoint.index];
    if (!equalBytes(txidOf(previous), outpoint.txid) || output === undefined) {
      throw refuse(`the transaction that this PSBT gives for ${outpointText(outpoint)} is another one`);
    }
    claims.push(output);
  }
  return claims;
}
