import {
  buildLegacyClosingTx,
  completeClosingTx,
  dustThresholdSat,
  signClosingTx,
  type Transaction,
  TransactionError,
  verifyClosingSignature,
} from '../../tx/index.js';
import type { ClosingSigned } from '../../wire/index.js';
import { greater, lesser } from '../amounts.js';
import type { Channel } from '../channel.js';
import { ChannelError } from '../channelError.js';
import type { StepDraft } from '../step.js';
import { answerClosingFee, type FeeRange } from './closingFee.js';
import {
  closingFees,
  closingInvalid,
  closingSignatureInvalid,
  finishClosing,
  requireNegotiation,
} from './closingState.js';

interface Scripts {
  readonly localScript: Uint8Array;
  readonly remoteScript: Uint8Array;
}

function buildTx(
  { params, localMsat, remoteMsat }: Channel,
  { localScript, remoteScript }: Scripts,
  variant: { feeSat: bigint; dustLimitSat: bigint; omit?: 'remote' },
): Transaction {
  try {
    return buildLegacyClosingTx({
      fundingOutpoint: params.fundingOutpoint,
      toLocalMsat: localMsat,
      toRemoteMsat: remoteMsat,
      localScript,
      remoteScript,
      localIsOpener: params.localIsOpener,
      ...variant,
    });
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
    throw closingInvalid(
      `there is no closing transaction with a fee of ${variant.feeSat} sat: ${error.message}`,
    );
  }
}

function ownFees(
  draft: StepDraft,
  scripts: Scripts,
  receivedRange?: FeeRange,
): { idealFeeSat: bigint; ownRange: FeeRange } {
  const { params, localMsat, remoteMsat } = draft.channel;
  const payerSat = (params.localIsOpener ? localMsat : remoteMsat) / 1000n;
  const { idealSat, relaySat } = closingFees(scripts, draft.context.policy.closingFeeratePerKw);
  const idealFeeSat = lesser(idealSat, payerSat);
  const minFeeSat = lesser(relaySat, idealFeeSat);
  if (params.localIsOpener) {
    return { idealFeeSat, ownRange: { minFeeSat, maxFeeSat: lesser(idealSat * 2n, payerSat) } };
  }
  // BOLT 2: closing_signed, not the funder: max_fee_satoshis at least the one received. It does not pay.
  const maxFeeSat = greater(payerSat, receivedRange?.maxFeeSat ?? 0n);
  return { idealFeeSat, ownRange: { minFeeSat, maxFeeSat } };
}

function sign(draft: StepDraft, tx: Transaction): Uint8Array {
  const { fundingSat, remote } = draft.channel.params;
  const { signer } = draft.context;
  return signClosingTx({ signer, tx, fundingSat, remoteFundingPubkey: remote.fundingPubkey });
}

function sendClosingSigned(
  draft: StepDraft,
  { feeSat, feeRange, signature }: { feeSat: bigint; feeRange: FeeRange; signature: Uint8Array },
): void {
  const { params, negotiation } = draft.channel;
  draft.patch({ negotiation: { ...negotiation, lastSentFeeSat: feeSat, lastSentRange: feeRange } });
  draft.send({ type: 'closing_signed', channelId: params.channelId, feeSat, signature, feeRange });
}

function propose(
  draft: StepDraft,
  scripts: Scripts,
  { feeSat, feeRange }: { feeSat: bigint; feeRange: FeeRange },
): void {
  const { dustLimitSat } = draft.channel.params.local;
  const tx = buildTx(draft.channel, scripts, { feeSat, dustLimitSat });
  sendClosingSigned(draft, { feeSat, feeRange, signature: sign(draft, tx) });
}

/** The opener's first proposal on this connection (BOLT 2: closing_signed, the funding node). */
export function startLegacyClosing(draft: StepDraft, scripts: Scripts): void {
  const { params, negotiation } = draft.channel;
  if (!params.localIsOpener || negotiation.lastSentFeeSat !== undefined) return;
  const { idealFeeSat, ownRange } = ownFees(draft, scripts);
  propose(draft, scripts, { feeSat: idealFeeSat, feeRange: ownRange });
}

/** The variant that the peer signed: each side uses its own dust limit and may give up its own output. */
function findSigned(
  channel: Channel,
  scripts: Scripts,
  { feeSat, signature }: ClosingSigned,
): Transaction | undefined {
  const { local, remote, fundingSat } = channel.params;
  for (const dustLimitSat of new Set([remote.dustLimitSat, local.dustLimitSat])) {
    for (const omitted of [{}, { omit: 'remote' as const }]) {
      // Giving up the only output leaves none.
      const tx = buildOrNothing(() => buildTx(channel, scripts, { feeSat, dustLimitSat, ...omitted }));
      if (tx === undefined) continue;
      const valid = verifyClosingSignature({
        tx,
        fundingSat,
        localFundingPubkey: local.fundingPubkey,
        remoteFundingPubkey: remote.fundingPubkey,
        remoteSignature: signature,
      });
      if (valid) return tx;
    }
  }
  return undefined;
}

function buildOrNothing(build: () => Transaction): Transaction | undefined {
  try {
    return build();
  } catch (error) {
    if (error instanceof ChannelError) return undefined;
    throw error;
  }
}

/** A proposal of the peer (BOLT 2: closing_signed, receiving node). */
export function receiveClosingSigned(draft: StepDraft, message: ClosingSigned): void {
  const { channel } = draft;
  const scripts = requireNegotiation(channel, 'closing_signed');
  const tx = findSigned(channel, scripts, message);
  // BOLT 2: closing_signed, receiving node: signature not valid for either variant, or with a high S
  if (tx === undefined) {
    throw closingSignatureInvalid(
      `the signature of the closing transaction with a fee of ${message.feeSat} sat`,
    );
  }
  // BOLT 2: closing_signed, receiving node: an output below the dust limit for its scriptpubkey
  if (tx.outputs.some(({ valueSat, script }) => valueSat < dustThresholdSat(script))) {
    throw new ChannelError('closing_invalid', 'an output of the closing transaction is dust');
  }
  const { lastSentFeeSat, lastSentRange, lastReceivedFeeSat } = channel.negotiation;
  const { idealFeeSat, ownRange } = ownFees(draft, scripts, message.feeRange);
  const answer = answerClosingFee({
    localIsOpener: channel.params.localIsOpener,
    receivedFeeSat: message.feeSat,
    receivedRange: message.feeRange,
    idealFeeSat,
    ownRange,
    lastSentFeeSat,
    lastSentRange,
    lastReceivedFeeSat,
  });
  draft.patch({ negotiation: { ...channel.negotiation, lastReceivedFeeSat: message.feeSat } });
  if (answer.type === 'propose') {
    propose(draft, scripts, { feeSat: answer.feeSat, feeRange: answer.range });
    return;
  }
  const localSignature = sign(draft, tx);
  if (answer.reply) {
    // The same variant as theirs, so that both have the same transaction.
    const feeRange = lastSentRange ?? ownRange;
    sendClosingSigned(draft, { feeSat: message.feeSat, feeRange, signature: localSignature });
  }
  const { local, remote } = channel.params;
  const complete = completeClosingTx({
    tx,
    localFundingPubkey: local.fundingPubkey,
    localSignature,
    remoteFundingPubkey: remote.fundingPubkey,
    remoteSignature: message.signature,
  });
  finishClosing(draft, complete);
}
