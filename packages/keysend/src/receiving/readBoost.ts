import { type PaymentProblem, type PaymentText, readPayment } from '../boostagram/readPayment.js';
import { decodeProofRecord, senderProofType } from '../proof/proofRecord.js';
import { verifySenderProof } from '../proof/senderProof.js';
import { recordName } from '../records/knownRecords.js';
import { keysendRecordType } from '../records/recordTypes.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { wellFormed } from './foldText.js';
import type { NewBoost } from './receivedBoost.js';

/** The node whose signature over a payment is right, 66 hex digits; `undefined` where there is none. */
export type ProveSender = (payment: Omit<ReceivedPayment, 'cursor'>) => string | undefined;

/** Looks at the sender proofs of payments to a node. */
export function senderProver(recipient: string): ProveSender {
  return ({ paymentHash, amountMsat, records }) => {
    const verdict = verifySenderProof({ paymentHash, recipient, amountMsat, records });
    return verdict.status === 'valid' ? verdict.nodeId : undefined;
  };
}

export interface ReadBoostOptions {
  /** The name of the wallet that received it. */
  readonly source: string;
  /** Who is known to have sent it, where that was found out before. */
  readonly provenKey?: string | undefined;
  readonly proveSender?: ProveSender | undefined;
}

const maxUuidLength = 128;

/** What a payment says, from its records alone: leniently, with whatever is wrong told in `problems`. Never throws. */
export function readBoost(
  payment: Omit<ReceivedPayment, 'cursor'>,
  { source, provenKey, proveSender }: ReadBoostOptions,
): NewBoost {
  const { paymentHash, amountMsat, receivedAtMs } = payment;
  // In one order, however the wallet gave them: what is read of them must not depend on it.
  const records = new Map([...payment.records].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  records.delete(keysendRecordType);
  const says = readPayment(records);
  const problems = problemsOf(says.problems);
  const proven = provenKey ?? proveSender?.({ ...payment, records });
  const proof = records.get(senderProofType);
  const claim = proof && decodeProofRecord(proof);
  if (typeof claim === 'string') problems.push(`sender_proof: ${claim}`);
  else if (claim?.signed !== undefined && proven === undefined) problems.push('sender_proof: not_verified');
  const { account } = says;
  return {
    source,
    paymentHash: paymentHash.toLowerCase(),
    amountMsat,
    receivedAtMs: Math.max(0, Math.floor(receivedAtMs)),
    kind: says.kind === 'message' ? 'payment' : says.kind,
    sender: present({
      name: clean(says.boostagram?.senderName) ?? asItCame(says.senderName),
      id: clean(says.senderId),
      claimedKey: says.senderKey,
      provenKey: proven?.toLowerCase(),
    }),
    show: present({
      name: clean(says.podcast),
      guid: clean(says.podcastGuid)?.toLowerCase(),
      feedId: says.feedId?.toString(),
      url: clean(says.feedUrl),
    }),
    episode: present({
      name: clean(says.episode),
      guid: clean(says.episodeGuid),
      itemId: says.itemId?.toString(),
    }),
    remote: present({
      feedGuid: clean(says.remoteFeedGuid)?.toLowerCase(),
      itemGuid: clean(says.remoteItemGuid),
    }),
    app: present({ name: clean(says.appName), version: clean(says.appVersion) }),
    share: present({
      name: clean(says.recipientName),
      valueMsat: says.valueMsat,
      totalMsat: says.valueMsatTotal,
    }),
    ...present({
      positionSeconds: says.positionSeconds,
      message: clean(says.boostagram?.message) ?? asItCame(says.message),
      boostUuid: clean(says.boostUuid)?.slice(0, maxUuidLength).toLowerCase(),
      legUuid: clean(says.uuid)?.slice(0, maxUuidLength).toLowerCase(),
      account: account && { key: account.type.toString(), value: wellFormed(account.value) },
      reply: replyOf(says),
    }),
    records,
    problems,
  };
}

/** For people: those of boostagrams first. */
function problemsOf(found: readonly PaymentProblem[]): string[] {
  const ofFields: string[] = [];
  const ofRecords: string[] = [];
  for (const one of found) {
    const name = recordName(one.type) ?? one.type;
    if (!('field' in one)) ofRecords.push(`${name}: ${one.problem}`);
    // By what is only converted nothing is lost.
    else if (one.problem !== 'converted') {
      ofFields.push(`${name}${one.field === '' ? '' : ` ${wellFormed(one.field)}`}: ${one.problem}`);
    }
  }
  return [...ofFields, ...ofRecords];
}

function replyOf({ replyAddress, replyCustomKey, replyCustomValue }: PaymentText): NewBoost['reply'] {
  const address = clean(replyAddress);
  if (address === undefined) return undefined;
  return {
    address,
    ...present({ customKey: replyCustomKey?.toString(), customValue: clean(replyCustomValue) }),
  };
}

/** What a record of its own says, spaces and all. */
function asItCame(text: string | undefined): string | undefined {
  return text === undefined ? undefined : wellFormed(text);
}

/** `undefined` for nothing but white space. */
function clean(text: string | undefined): string | undefined {
  const trimmed = text === undefined ? '' : wellFormed(text).trim();
  return trimmed === '' ? undefined : trimmed;
}

/** Without what is undefined. */
function present<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
