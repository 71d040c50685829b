import { KeysendError } from '../keysendError.js';
import { ChannelRates } from './channelRates.js';
import { foldForMatch } from './foldForMatch.js';
import { hasLink } from './hasLink.js';
import type { IncomingKeysend, PolicyVerdict } from './incomingKeysend.js';
import { JudgedHashes } from './judgedHashes.js';
import { type PaymentWords, paymentWords } from './paymentWords.js';
import { type PolicySettings, readPolicySettings } from './policySettings.js';
import type { PolicyState } from './policyState.js';
import { bucketSize, TokenBucket } from './tokenBucket.js';
import { WordList } from './wordList.js';

/** Why a payment was refused, in the order in which the rules are looked at. */
export const refusalRules = [
  'channel_denied',
  'minimum',
  'channel_rate',
  'total_rate',
  'signature_wrong',
  'sender_denied',
  'signature_missing',
  'name_denied',
  'minimum_with_message',
  'message_length',
  'message_links',
  'message_words',
  'hold_full',
] as const;
export type RefusalRule = (typeof refusalRules)[number];

/** Why one is held, in the order in which the rules are looked at. */
export const holdRules = ['hold_amount', 'hold_unknown_sender', 'hold_links', 'hold_words'] as const;
export type HoldRule = (typeof holdRules)[number];

/** Whose payment it is: `verifySenderProof`, or another way to know. */
export type SenderVerifier = (payment: IncomingKeysend) => SenderVerdict;
export type SenderVerdict =
  | { readonly status: 'valid'; readonly nodeId: string }
  | { readonly status: 'invalid' }
  | { readonly status: 'absent' };

export interface ReceivePolicyOptions {
  /** Needed where the settings say anything of signatures or senders. */
  readonly verify?: SenderVerifier | undefined;
  /** `state()` of the policy before this one: after a restart, or for new settings. */
  readonly state?: PolicyState | undefined;
  /** Channels whose rates are kept apart: 1,000 if absent. */
  readonly maxChannels?: number | undefined;
  /** Payments let in that are remembered, for ten minutes: 10,000 if absent. */
  readonly maxRemembered?: number | undefined;
}

export interface PolicyStatistics {
  readonly accepted: number;
  readonly held: number;
  readonly refused: number;
  /** Judged before: said again what was said then, and not counted again. */
  readonly repeated: number;
  readonly refusedBy: Readonly<Partial<Record<RefusalRule, number>>>;
  readonly heldBy: Readonly<Partial<Record<HoldRule, number>>>;
}

const REMEMBERED_MS = 600_000;
const TOTAL_RESERVE = 0.25;

/**
 * Says of every keysend whether it is let in, sent back or held for somebody to decide, before it is settled. Pure
 * and synchronous; the same payments at the same times get the same verdicts. Whatever comes, it keeps no more than
 * its limits.
 *
 * The rules are looked at in the order of `refusalRules`, then `holdRules`; the first that applies decides. Rates
 * count only what was let in or held: who is refused uses up nothing, so that nobody can be kept out by refusals. A
 * sender in `allow` (by a proven key) or a channel in `allow` skips every rule but denials, rates and a wrong
 * signature.
 *
 * A payment that was let in or held and comes again (the same hash and amount, within ten minutes or its hold) gets
 * the same verdict and counts once.
 */
export class ReceivePolicy {
  readonly #settings: PolicySettings;
  readonly #verify: SenderVerifier | undefined;
  readonly #minimum: bigint;
  readonly #minimumWithMessage: bigint;
  readonly #holdAbove: bigint | undefined;
  readonly #channels: ChannelRates | undefined;
  readonly #total: TokenBucket | undefined;
  readonly #judged: JudgedHashes;
  readonly #allow: Lists;
  readonly #deny: Lists;
  readonly #refuseWords: WordList;
  readonly #holdWords: WordList;
  /** Whether anything has to be read of a payment. */
  readonly #readsWords: boolean;
  readonly #counts = { accepted: 0, held: 0, repeated: 0 };
  readonly #refusedBy = new Map<RefusalRule, number>();
  readonly #heldBy = new Map<HoldRule, number>();

  /** @throws KeysendError `request_invalid` for settings that are not valid, or that need a verifier. */
  constructor(settings: PolicySettings, options: ReceivePolicyOptions = {}) {
    const { verify, state } = options;
    this.#settings = readPolicySettings(settings);
    const { minimumMsat, minimumWithMessageMsat, channelRate, totalRate, message, hold, allow, deny } =
      this.#settings;
    const needsVerifier =
      this.#settings.signature === 'required' ||
      (allow?.senders?.length ?? 0) > 0 ||
      (deny?.senders?.length ?? 0) > 0;
    if (needsVerifier && verify === undefined) {
      throw new KeysendError('request_invalid', 'The policy asks who the sender is: give it a verifier');
    }
    this.#verify = verify;
    this.#minimum = BigInt(minimumMsat ?? 0);
    this.#minimumWithMessage = BigInt(minimumWithMessageMsat ?? 0);
    this.#holdAbove = hold?.aboveMsat === undefined ? undefined : BigInt(hold.aboveMsat);
    this.#channels =
      channelRate && new ChannelRates(bucketSize(channelRate), options.maxChannels ?? 1_000, state?.channels);
    this.#total = totalRate && new TokenBucket(bucketSize(totalRate), 0, state?.total);
    this.#judged = new JudgedHashes(
      { limit: options.maxRemembered ?? 10_000, keepMs: REMEMBERED_MS },
      state?.judged,
    );
    this.#allow = readLists(allow);
    this.#deny = readLists(deny);
    this.#refuseWords = new WordList(message?.refuseWords ?? []);
    this.#holdWords = new WordList(message?.holdWords ?? []);
    this.#readsWords =
      message !== undefined ||
      minimumWithMessageMsat !== undefined ||
      this.#deny.names.size > 0 ||
      hold?.unknownSenders === true;
  }

  judge(payment: IncomingKeysend): PolicyVerdict {
    const before = this.#judged.find(payment);
    if (before !== undefined) {
      this.#counts.repeated++;
      return before.verdict;
    }
    const decision = this.#decide(payment);
    switch (decision.action) {
      case 'refuse':
        count(this.#refusedBy, decision.rule);
        return decision;
      case 'hold':
        count(this.#heldBy, decision.rule);
        this.#counts.held++;
        break;
      case 'accept':
        this.#counts.accepted++;
    }
    this.#take(payment, decision);
    return decision;
  }

  /** A held payment was decided, or went back: its place is free. What was accepted does not count again. */
  decided(paymentHash: string, action: 'accept' | 'refuse'): void {
    this.#judged.decided(paymentHash, action);
  }

  statistics(): PolicyStatistics {
    let refused = 0;
    for (const number of this.#refusedBy.values()) refused += number;
    return {
      ...this.#counts,
      refused,
      refusedBy: Object.fromEntries(this.#refusedBy),
      heldBy: Object.fromEntries(this.#heldBy),
    };
  }

  /** For the next policy: rates used up, payments remembered, places of held ones. */
  state(): PolicyState {
    return {
      version: 1,
      channels: this.#channels?.state() ?? [],
      ...(this.#total === undefined ? {} : { total: this.#total.state() }),
      judged: this.#judged.list(),
    };
  }

  #decide(payment: IncomingKeysend): Decision {
    const { amountMsat, channelId } = payment;
    if (this.#deny.channels.has(channelId)) return refuse('channel_denied');
    // Looked at only where it matters: a signature costs more than all other rules.
    let sender: SenderVerdict | undefined;
    const verified = (): SenderVerdict => {
      sender ??= this.#verify?.(payment) ?? { status: 'absent' };
      return sender;
    };
    const isAllowed = (): boolean => {
      if (this.#allow.channels.has(channelId)) return true;
      if (this.#allow.senders.size === 0) return false;
      const who = verified();
      return who.status === 'valid' && this.#allow.senders.has(who.nodeId);
    };
    if (amountMsat < this.#minimum && !isAllowed()) return refuse('minimum');
    const overRate = this.#overRate(payment);
    if (overRate !== undefined) return refuse(overRate);

    const signature = this.#settings.signature ?? 'checked';
    if (signature !== 'ignored' && verified().status === 'invalid') return refuse('signature_wrong');
    if (this.#deny.senders.size > 0) {
      const who = verified();
      if (who.status === 'valid' && this.#deny.senders.has(who.nodeId)) return refuse('sender_denied');
    }
    if (signature === 'required' && verified().status !== 'valid' && !isAllowed()) {
      return refuse('signature_missing');
    }
    if (isAllowed()) return accepted;
    return this.#decideOnWords(payment);
  }

  #overRate({ amountMsat, channelId, nowMs }: IncomingKeysend): RefusalRule | undefined {
    const msat = Number(amountMsat);
    if (this.#channels?.allows({ channelId, msat, nowMs }) === false) return 'channel_rate';
    if (this.#total === undefined) return undefined;
    // A channel that has hardly been used still gets in where others have used up the rest.
    const isLight = this.#channels === undefined || this.#channels.level(channelId, nowMs) >= 0.5;
    const reserve = isLight ? 0 : TOTAL_RESERVE;
    return this.#total.allows({ msat, nowMs, reserve }) ? undefined : 'total_rate';
  }

  #decideOnWords(payment: IncomingKeysend): Decision {
    const { amountMsat } = payment;
    const { message, hold } = this.#settings;
    const words = this.#readsWords ? paymentWords(payment) : noWords;
    if (this.#deny.names.has(words.senderName)) return refuse('name_denied');
    if (words.messageLength > 0 && amountMsat < this.#minimumWithMessage)
      return refuse('minimum_with_message');
    if (message?.maxLength !== undefined && words.messageLength > message.maxLength) {
      return refuse('message_length');
    }
    const links = message?.links ?? 'allow';
    const linked = links !== 'allow' && hasLink(words.said);
    if (links === 'refuse' && linked) return refuse('message_links');
    if (this.#refuseWords.isIn(words.shown)) return refuse('message_words');
    if (hold === undefined) return accepted;
    let rule: HoldRule | undefined;
    if (this.#holdAbove !== undefined && amountMsat > this.#holdAbove) rule = 'hold_amount';
    else if (hold.unknownSenders === true && !this.#allow.names.has(words.senderName))
      rule = 'hold_unknown_sender';
    else if (linked) rule = 'hold_links';
    else if (this.#holdWords.isIn(words.shown)) rule = 'hold_words';
    if (rule === undefined) return accepted;
    return this.#hold(payment, rule, hold);
  }

  /** What is held takes up places in a channel: nobody may fill them. */
  #hold(
    { channelId, nowMs }: IncomingKeysend,
    rule: HoldRule,
    hold: NonNullable<PolicySettings['hold']>,
  ): Decision {
    const held = this.#judged.held(channelId, nowMs);
    if (held.all >= (hold.maximum ?? 50) || held.ofChannel >= (hold.maximumPerChannel ?? 10)) {
      return refuse('hold_full');
    }
    return { action: 'hold', rule, untilMs: nowMs + hold.seconds * 1_000 };
  }

  #take(payment: IncomingKeysend, verdict: Exclude<Decision, { action: 'refuse' }>): void {
    const { paymentHash, amountMsat, channelId, nowMs } = payment;
    const msat = Number(amountMsat);
    this.#channels?.take({ channelId, msat, nowMs });
    this.#total?.take(msat, nowMs);
    this.#judged.add({ paymentHash, amountMsat: amountMsat.toString(), channelId, verdict, atMs: nowMs });
  }
}

type Decision =
  | { readonly action: 'accept' }
  | { readonly action: 'refuse'; readonly rule: RefusalRule }
  | { readonly action: 'hold'; readonly rule: HoldRule; readonly untilMs: number };

interface Lists {
  readonly senders: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
  readonly channels: ReadonlySet<string>;
}

const accepted: Decision = { action: 'accept' };
const noWords: PaymentWords = { messageLength: 0, senderName: '', said: '', shown: '' };
const refusals = new Map(refusalRules.map((rule) => [rule, { action: 'refuse' as const, rule }]));

function refuse(rule: RefusalRule): Decision {
  return refusals.get(rule) ?? { action: 'refuse', rule };
}

function readLists(lists: PolicySettings['allow']): Lists {
  const names = (lists?.names ?? []).map((name) => foldForMatch(name).trim());
  return {
    senders: new Set(lists?.senders),
    // One that cannot be seen would be everybody's who gives none.
    names: new Set(names.filter((name) => name !== '')),
    channels: new Set(lists?.channels),
  };
}

function count<Rule>(counts: Map<Rule, number>, rule: Rule): void {
  counts.set(rule, (counts.get(rule) ?? 0) + 1);
}
