import type { PolicyRate, PolicySettings } from '@rivulet/keysend/policy';
import type { HeldKeysendInfo, ResponseOf } from '@rivulet/sdk';
import { formatMsat } from '../format/amount.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';

/** The settings and what they did, for people. */
export function describePolicy(
  { policy, statistics }: ResponseOf<'keysendPolicy'>,
  { accepts }: { readonly accepts: boolean },
): string {
  const rows = rowsOf(policy as PolicySettings);
  const { accepted, held, refused, refusedBy, heldBy } = statistics;
  return [
    ...(accepts ? [] : ['this node takes no keysends at all: keysend.accept is false', '']),
    rows.length === 0 ? 'every keysend is taken: no limits are set' : formatTable(['SETTING', 'VALUE'], rows),
    '',
    `since the start: ${accepted} taken at once, ${held} held, ${refused} refused`,
    ...countsOf('refused', refusedBy),
    ...countsOf('held', heldBy),
  ].join('\n');
}

/** Those that wait, for people. */
export function describeHeld({ keysends }: ResponseOf<'heldKeysends'>): string {
  if (keysends.length === 0) return 'no keysend waits for a decision';
  return formatTable(['PAYMENT', '>AMOUNT', 'WHY', 'UNTIL (UTC)', 'FROM', 'MESSAGE'], keysends.map(heldRow));
}

function heldRow({ paymentHash, amountMsat, rule, untilMs, senderName, message }: HeldKeysendInfo): string[] {
  return [
    shortId(paymentHash),
    formatMsat(amountMsat),
    printable(rule),
    formatTime(untilMs),
    shorten(printable(senderName ?? '')),
    shorten(printable(message ?? '')),
  ];
}

function rowsOf(settings: PolicySettings): string[][] {
  const { minimumMsat, minimumWithMessageMsat, channelRate, totalRate, message, signature, hold } = settings;
  const rows: (readonly [string, string | undefined])[] = [
    ['smallest', amount(minimumMsat)],
    ['smallest with a message', amount(minimumWithMessageMsat)],
    ['rate of a channel', rate(channelRate)],
    ['rate of all together', rate(totalRate)],
    ['longest message', message?.maxLength === undefined ? undefined : `${message.maxLength} characters`],
    ['links', message?.links],
    ['words that are refused', words(message?.refuseWords)],
    ['words that are held', words(message?.holdWords)],
    ['signature of the sender', signature],
    ['held above', amount(hold?.aboveMsat)],
    ['held of unknown senders', hold?.unknownSenders === true ? 'yes' : undefined],
    ['held for', hold === undefined ? undefined : `${hold.seconds} s`],
    ['held at once', hold === undefined ? undefined : heldAtOnce(hold)],
    ...(['allow', 'deny'] as const).flatMap((list) =>
      (['senders', 'names', 'channels'] as const).map(
        (of) => [`${list} ${of}`, words(settings[list]?.[of])] as const,
      ),
    ),
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

function amount(msat: string | undefined): string | undefined {
  return msat === undefined ? undefined : formatMsat(BigInt(msat));
}

function rate(limit: PolicyRate | undefined): string | undefined {
  if (limit === undefined) return undefined;
  const { payments, msat, perSeconds } = limit;
  const most = [
    ...(payments === undefined ? [] : [`${payments} ${payments === 1 ? 'payment' : 'payments'}`]),
    ...(msat === undefined ? [] : [formatMsat(BigInt(msat))]),
  ];
  return `${most.join(' and ')} in ${perSeconds} s`;
}

function heldAtOnce({ maximum = 50, maximumPerChannel = 10 }: NonNullable<PolicySettings['hold']>): string {
  return `${maximum}, ${maximumPerChannel} of a channel`;
}

/** The first of them, and how many more there are. */
function words(list: readonly string[] | undefined): string | undefined {
  if (list === undefined || list.length === 0) return undefined;
  const shown = list
    .slice(0, 3)
    .map((one) => printable(one.length === 64 || one.length === 66 ? shortId(one) : one));
  const more = list.length - shown.length;
  return `${shorten(shown.join(', '))}${more === 0 ? '' : ` and ${more} more`}`;
}

function countsOf(what: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([rule, count]) => `  ${what} by ${printable(rule)}: ${count}`);
}
