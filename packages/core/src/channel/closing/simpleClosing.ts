import { equalBytes } from '../../bytes/index.js';
import {
  buildClosingTx,
  type ClosingTerms,
  type ClosingVariant,
  closeeVariant,
  closerVariants,
  completeClosingTx,
  dustThresholdSat,
  isShutdownScript,
  scriptType,
  signClosingTx,
  type Transaction,
  verifyClosingSignature,
} from '../../tx/index.js';
import type { ClosingComplete, ClosingSig } from '../../wire/index.js';
import { lesser } from '../amounts.js';
import type { Channel } from '../channel.js';
import { ChannelError } from '../channelError.js';
import type { StepDraft } from '../step.js';
import {
  closingFees,
  closingInvalid,
  closingSignatureInvalid,
  finishClosing,
  requireNegotiation,
} from './closingState.js';

/** The TLV of each variant's signature. */
const signatureField = {
  closer_output_only: 'closerOutputOnly',
  closee_output_only: 'closeeOutputOnly',
  closer_and_closee_outputs: 'closerAndCloseeOutputs',
} as const satisfies Record<ClosingVariant, keyof ClosingComplete>;

const allVariants = Object.keys(signatureField) as readonly ClosingVariant[];

function signedVariants(message: ClosingComplete | ClosingSig): ClosingVariant[] {
  return allVariants.filter((variant) => message[signatureField[variant]] !== undefined);
}

/** A closing transaction with both signatures. @throws ChannelError where the peer's is not valid. */
function complete(
  draft: StepDraft,
  { tx, remoteSignature }: { tx: Transaction; remoteSignature: Uint8Array },
): { tx: Transaction; localSignature: Uint8Array } {
  const { local, remote, fundingSat } = draft.channel.params;
  const keys = { localFundingPubkey: local.fundingPubkey, remoteFundingPubkey: remote.fundingPubkey };
  // BOLT 2: closing_complete and closing_sig: the signature is not valid, or has a high S
  if (!verifyClosingSignature({ tx, fundingSat, remoteSignature, ...keys })) {
    throw closingSignatureInvalid('the signature of the closing transaction is not valid');
  }
  const { signer } = draft.context;
  const localSignature = signClosingTx({
    signer,
    tx,
    fundingSat,
    remoteFundingPubkey: keys.remoteFundingPubkey,
  });
  return { tx: completeClosingTx({ tx, localSignature, remoteSignature, ...keys }), localSignature };
}

/**
 * What we pay as the closer, such that the transaction is relayed; `undefined` where our balance is too
 * small for that and the close is left to the peer's own transaction.
 */
function closerFeeSat(
  channel: Channel,
  { terms, feeratePerKw }: { terms: Omit<ClosingTerms, 'feeSat'>; feeratePerKw: number },
): bigint | undefined {
  const { closerScript, closeeScript, closerMsat, closeeMsat } = terms;
  const scripts = { localScript: closerScript, remoteScript: closeeScript };
  const { idealSat, relaySat } = closingFees(scripts, feeratePerKw);
  const balanceSat = channel.localMsat / 1000n;
  const minimumSat = lesser(relaySat, idealSat);
  let feeSat = lesser(idealSat, balanceSat);
  const dustSat = dustThresholdSat(closerScript);
  const outputIsDust = scriptType(closerScript) !== 'op_return' && balanceSat - feeSat < dustSat;
  const closeeIsDust =
    scriptType(closeeScript) !== 'op_return' && closeeMsat / 1000n < dustThresholdSat(closeeScript);
  // BOLT 2: closing_complete, the closer: at least one output is not dust, and only a lesser one is left out
  if (outputIsDust && (closerMsat >= closeeMsat || closeeIsDust)) feeSat = balanceSat - dustSat;
  return feeSat < minimumSat ? undefined : feeSat;
}

/** Our own closing transaction of this connection (BOLT 2: closing_complete, the closer). */
export function startSimpleClosing(
  draft: StepDraft,
  { localScript, remoteScript }: { localScript: Uint8Array; remoteScript: Uint8Array },
): void {
  const { channel } = draft;
  const { params, localMsat, remoteMsat, negotiation } = channel;
  if (negotiation.lastSentFeeSat !== undefined) return;
  const balances = { closerMsat: localMsat, closeeMsat: remoteMsat };
  const addresses = { closerScript: localScript, closeeScript: remoteScript };
  const { closingFeeratePerKw } = draft.context.policy;
  const feeSat = closerFeeSat(channel, {
    terms: { ...balances, ...addresses },
    feeratePerKw: closingFeeratePerKw,
  });
  if (feeSat === undefined) return;
  const terms = { ...balances, ...addresses, feeSat };
  const variants = closerVariants(terms);
  if (variants.length === 0) return;
  const lockTime = 0;
  const signatures: Partial<Record<(typeof signatureField)[ClosingVariant], Uint8Array>> = {};
  for (const variant of variants) {
    const { fundingOutpoint, fundingSat, remote } = params;
    const tx = buildClosingTx({ ...terms, fundingOutpoint, lockTime, variant });
    signatures[signatureField[variant]] = signClosingTx({
      signer: draft.context.signer,
      tx,
      fundingSat,
      remoteFundingPubkey: remote.fundingPubkey,
    });
  }
  const closingComplete = { ...addresses, feeSat, lockTime };
  draft.patch({ negotiation: { ...negotiation, lastSentFeeSat: feeSat, closingComplete } });
  draft.send({
    type: 'closing_complete',
    channelId: params.channelId,
    closerScriptpubkey: localScript,
    closeeScriptpubkey: remoteScript,
    feeSat,
    locktime: lockTime,
    ...signatures,
  });
}

/** The peer's own closing transaction, for which it pays (BOLT 2: closing_complete, the closee). */
export function receiveClosingComplete(draft: StepDraft, message: ClosingComplete): void {
  const { channel } = draft;
  const { localScript } = requireNegotiation(channel, 'closing_complete');
  const { params, localMsat, remoteMsat, shutdown } = channel;
  const { closerScriptpubkey, closeeScriptpubkey, feeSat, locktime } = message;
  // BOLT 2: closing_complete, the closee: fee_satoshis is greater than the closer's outstanding balance
  if (feeSat > remoteMsat / 1000n) {
    throw closingInvalid(`a closing fee of ${feeSat} sat is more than the closer has`);
  }
  // BOLT 2: closing_complete, the closee: closee_scriptpubkey is not the last script that it sent
  if (!equalBytes(closeeScriptpubkey, localScript)) {
    throw closingInvalid('closing_complete does not pay to the script of our shutdown');
  }
  checkCloserScript(channel, closerScriptpubkey);
  const terms: ClosingTerms = {
    closerMsat: remoteMsat,
    closeeMsat: localMsat,
    closerScript: closerScriptpubkey,
    closeeScript: closeeScriptpubkey,
    feeSat,
  };
  // BOLT 2: closing_complete, the closee: select a signature for validation; it must exist
  const variant = closeeVariant({ ...terms, signed: signedVariants(message) });
  if (variant === undefined) throw closingInvalid('closing_complete lacks the signature that is needed');
  const field = signatureField[variant];
  const unsigned = buildClosingTx({
    ...terms,
    fundingOutpoint: params.fundingOutpoint,
    lockTime: locktime,
    variant,
  });
  const signed = complete(draft, { tx: unsigned, remoteSignature: message[field] as Uint8Array });
  // BOLT 2: closing_complete, the closee: closer_scriptpubkey for its own future closing_complete messages
  if (!equalBytes(closerScriptpubkey, shutdown.remoteScript as Uint8Array)) {
    draft.save({ shutdown: { ...shutdown, remoteScript: closerScriptpubkey } });
  }
  draft.send({
    type: 'closing_sig',
    channelId: params.channelId,
    closerScriptpubkey,
    closeeScriptpubkey,
    feeSat,
    locktime,
    [field]: signed.localSignature,
  });
  finishClosing(draft, signed.tx);
}

function checkCloserScript({ params }: Channel, script: Uint8Array): void {
  // BOLT 2: closing_complete, the closee: closer_scriptpubkey is invalid
  if (!isShutdownScript(script, { anySegwit: true, simpleClose: true })) {
    throw closingInvalid('closing_complete pays to a script that has none of the allowed forms');
  }
  // BOLT 2: closing_complete, rationale: changing it takes that no upfront_shutdown_script was negotiated
  const upfront = params.remote.upfrontShutdownScript;
  if (upfront !== undefined && !equalBytes(upfront, script)) {
    throw closingInvalid('closing_complete pays to another script than the one committed to at the opening');
  }
}

/** The peer signed our closing transaction (BOLT 2: closing_sig, receiver). */
export function receiveClosingSig(draft: StepDraft, message: ClosingSig): void {
  const { channel } = draft;
  requireNegotiation(channel, 'closing_sig');
  const { params, localMsat, remoteMsat, negotiation } = channel;
  const { closingComplete: proposed, ...rest } = negotiation;
  if (proposed === undefined) {
    throw new ChannelError(
      'message_unexpected',
      'closing_sig came for no closing_complete',
      'warn_and_disconnect',
    );
  }
  // BOLT 2: closing_sig, receiver: scripts, fee or locktime don't match what was sent
  const matches =
    equalBytes(message.closerScriptpubkey, proposed.closerScript) &&
    equalBytes(message.closeeScriptpubkey, proposed.closeeScript) &&
    message.feeSat === proposed.feeSat &&
    message.locktime === proposed.lockTime;
  if (!matches) throw closingInvalid('closing_sig does not match our closing_complete');
  const { closerScript, closeeScript, feeSat, lockTime } = proposed;
  const terms: ClosingTerms = {
    closerMsat: localMsat,
    closeeMsat: remoteMsat,
    closerScript,
    closeeScript,
    feeSat,
  };
  // BOLT 2: closing_sig, receiver: not exactly one signature, or one that was not offered
  const [variant, ...others] = signedVariants(message);
  if (variant === undefined || others.length > 0)
    throw closingInvalid('closing_sig has not exactly one signature');
  if (!closerVariants(terms).includes(variant)) {
    throw closingInvalid('closing_sig signs a variant that was not offered');
  }
  const { fundingOutpoint } = params;
  const unsigned = buildClosingTx({ ...terms, fundingOutpoint, lockTime, variant });
  const remoteSignature = message[signatureField[variant]] as Uint8Array;
  const signed = complete(draft, { tx: unsigned, remoteSignature });
  draft.patch({ negotiation: rest });
  finishClosing(draft, signed.tx);
}
