import { equalBytes } from '../../bytes/index.js';
import { closingTxWeight, feeForWeightSat, type Transaction, txid } from '../../tx/index.js';
import type { Channel } from '../channel.js';
import { ChannelError } from '../channelError.js';
import type { StepDraft } from '../step.js';

/** Bitcoin nodes do not relay below it. */
const relayFeeratePerKw = 253;
/** More closing transactions than anybody needs: a peer could have us sign and store them without end. */
const maxClosingTransactions = 100;

/** Nothing is pending: no HTLC, no feerate, no revocation owed by either side. */
export function isClean(channel: Channel): boolean {
  const { htlcs, fee, remoteCommit, unsignedChanges } = channel;
  // What we owe is sent in the step that finds it owed.
  return htlcs.size === 0 && fee.updates.length === 0 && !remoteCommit.awaitingRevocation && !unsignedChanges;
}

/** Whether the channel can be closed together still. */
export function isCooperative({ phase }: Channel): boolean {
  return phase.name === 'awaiting_ready' || phase.name === 'open' || phase.name === 'closing';
}

/** The scripts of a close whose fee is negotiated now; `undefined` before and where there is none. */
export function negotiatedScripts(
  channel: Channel,
): { readonly localScript: Uint8Array; readonly remoteScript: Uint8Array } | undefined {
  const { link, shutdown, negotiation } = channel;
  const { localScript, remoteScript } = shutdown;
  if (!isCooperative(channel) || link !== 'online') return undefined;
  // BOLT 2: after a shutdown has been sent and received (on this connection: both are sent again)
  if (localScript === undefined || !shutdown.localSent) return undefined;
  if (remoteScript === undefined || negotiation.remoteShutdown !== true) return undefined;
  return isClean(channel) ? { localScript, remoteScript } : undefined;
}

/** The same, where a message of the peer needs it. */
export function requireNegotiation(
  channel: Channel,
  message: 'closing_signed' | 'closing_complete' | 'closing_sig',
): { readonly localScript: Uint8Array; readonly remoteScript: Uint8Array } {
  const scripts = negotiatedScripts(channel);
  const simple = message !== 'closing_signed';
  if (scripts === undefined || channel.simpleClose !== simple) {
    throw new ChannelError('message_unexpected', `${message} came out of turn`, 'warn_and_disconnect');
  }
  if (channel.closingTransactions.length >= maxClosingTransactions) {
    throw closingInvalid(`${maxClosingTransactions} closing transactions are signed, which is enough`);
  }
  return scripts;
}

export function closingInvalid(message: string): ChannelError {
  return new ChannelError('closing_invalid', message, 'warn_and_disconnect');
}

export function closingSignatureInvalid(message: string): ChannelError {
  return new ChannelError('signature_invalid', message, 'warn_and_disconnect');
}

/** What a closing transaction to these scripts costs: as much as we would pay, and at the very least. */
export function closingFees(
  scripts: { readonly localScript: Uint8Array; readonly remoteScript: Uint8Array },
  feeratePerKw: number,
): { readonly idealSat: bigint; readonly relaySat: bigint } {
  const weight = closingTxWeight([scripts.localScript, scripts.remoteScript]);
  return {
    idealSat: feeForWeightSat(weight, feeratePerKw),
    relaySat: feeForWeightSat(weight, relayFeeratePerKw),
  };
}

/** A closing transaction with both signatures: stored, published, and the channel's end begun. */
export function finishClosing(draft: StepDraft, tx: Transaction): void {
  const { closingTransactions, phase } = draft.channel;
  const id = txid(tx);
  // Where it is known, the phase is `closing` already: a fee was agreed on again after a reconnection.
  if (!closingTransactions.some((other) => equalBytes(txid(other), id))) {
    draft.save({ phase: { name: 'closing' }, closingTransactions: [...closingTransactions, tx] });
  }
  if (phase.name !== 'closing') draft.events.push({ type: 'phaseChanged' });
  draft.effects.push({ type: 'publish', tx, purpose: 'closing' });
}
