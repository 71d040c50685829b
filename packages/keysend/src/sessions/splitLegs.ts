import { utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { type Boostagram, type TrimmedField, trimBoostagram } from '../boostagram/index.js';
import { KeysendError } from '../keysendError.js';
import type { LegPlan } from '../ledger/index.js';
import { accountRecords, boostagramRecordType, type RecordRoute, recordRoom } from '../records/index.js';
import type { ActiveValue, Recipient, SplitPayment, ValuePlan } from '../value/index.js';

/** What a sender says of themselves and their app, the same in every boostagram. */
export type SenderFields = Pick<
  Boostagram,
  | 'senderName'
  | 'senderId'
  | 'appName'
  | 'appVersion'
  | 'boostLink'
  | 'replyAddress'
  | 'replyCustomKey'
  | 'replyCustomValue'
  | 'extra'
>;

/** How the payments of a split are made. */
export interface SplitPaymentOptions {
  readonly sender?: SenderFields | undefined;
  /** Sent with every payment, beside the boostagram. */
  readonly records?: ReadonlyMap<bigint, Uint8Array> | undefined;
  /** Bytes of each onion that are left free, for records that are added later. */
  readonly reserveBytes?: number | undefined;
  /** What is known of the routes: the more, the less is trimmed. */
  readonly route?: RecordRoute | undefined;
  /** The most that forwarding may cost, for each payment. */
  readonly maxFeeMsat?: ((amountMsat: bigint) => bigint) | undefined;
  readonly budgets?: readonly string[] | undefined;
  /** For the audit log. */
  readonly actor?: string | undefined;
}

export interface SplitLeg {
  readonly leg: LegPlan;
  /** Nothing but a fee. */
  readonly fee: boolean;
  /** What of the boostagram had no room. */
  readonly trimmed: readonly TrimmedField[];
}

/** What an account behind an address that is not resolved yet may take of the room. */
const unknownAccount = new Map([[696_969n, new Uint8Array(40)]]);

/** The payments of one split as they are to be planned, each with its boostagram. */
export function legsOfSplit(
  request: SplitPaymentOptions & {
    readonly plan: ValuePlan;
    readonly active: ActiveValue;
    readonly payments: readonly SplitPayment[];
    /** What is particular to this payment: action, position, message. */
    readonly boostagram: Boostagram;
    readonly group: string;
    readonly keyPrefix: string;
  },
): SplitLeg[] {
  const { payments, group, keyPrefix, maxFeeMsat, budgets, actor, boostagram, plan } = request;
  return payments.map(({ recipient, amountMsat, fee, sources, key }, index) => {
    const { active, sender } = request;
    const remote = sources.includes('remote') ? active.remoteItem : undefined;
    const { bytes, trimmed } = fitted(request, {
      recipient,
      amountMsat,
      boostagram: defined({
        ...boostagram,
        ...sender,
        podcast: plan.feed.title,
        guid: plan.feed.guid,
        url: plan.feed.url,
        episode: plan.item?.title,
        episodeGuid: plan.item?.guid,
        name: recipient.name,
        valueMsat: amountMsat,
        uuid: boostagram.boostUuid === undefined ? undefined : uuidOf(`${boostagram.boostUuid} ${key}`),
        remoteFeedGuid: remote === undefined || remote.feedGuid === '' ? undefined : remote.feedGuid,
        remoteItemGuid: remote?.itemGuid,
      }),
    });
    const records = new Map(request.records);
    if (bytes !== undefined) records.set(boostagramRecordType, bytes);
    const leg: LegPlan = {
      key: `${keyPrefix}:${index}`,
      group,
      recipient,
      amountMsat,
      records,
      maxFeeMsat: maxFeeMsat?.(amountMsat),
      budgets,
      scope: plan.item?.guid ?? plan.feed.guid,
      comment: recipient.type === 'lnaddress' ? boostagram.message : undefined,
      actor,
    };
    return { leg, fee, trimmed };
  });
}

/** A boostagram as large as the onion has room for. */
function fitted(
  { records = new Map(), route, reserveBytes = 0 }: SplitPaymentOptions,
  { recipient, amountMsat, boostagram }: { recipient: Recipient; amountMsat: bigint; boostagram: Boostagram },
): { bytes?: Uint8Array; trimmed: readonly TrimmedField[] } {
  const beside = new Map([...records, ...accountOf(recipient)]);
  const roomBytes = recordRoom({ amountMsat, ...route, records: beside }) - reserveBytes;
  try {
    return trimBoostagram(boostagram, { roomBytes });
  } catch (error) {
    if (!(error instanceof KeysendError) || error.code !== 'records_too_large') throw error;
    // The money matters more than what is said of it.
    return { trimmed: [{ field: 'boostagram', kept: 0, lost: 1 }] };
  }
}

function accountOf(recipient: Recipient): ReadonlyMap<bigint, Uint8Array> {
  if (recipient.type === 'lnaddress') return unknownAccount;
  try {
    return accountRecords(recipient);
  } catch {
    // Whoever resolves the recipient says so, and only this payment fails.
    return new Map();
  }
}

/** A text's UUID (version 8, of its SHA-256): the same for the same text. */
export function uuidOf(text: string): string {
  const bytes = sha256(utf8ToBytes(text)).slice(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A position as boostagrams say it. */
export function positionFields(positionSeconds: number): { ts: number; time: string } {
  const ts = Math.max(0, Math.floor(positionSeconds));
  const parts = [Math.floor(ts / 3600), Math.floor(ts / 60) % 60, ts % 60];
  return { ts, time: parts.map((part) => String(part).padStart(2, '0')).join(':') };
}

function defined(boostagram: { [F in keyof Boostagram]: Boostagram[F] | undefined }): Boostagram {
  const entries = Object.entries(boostagram).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as Boostagram;
}
