import {
  type BoostTotals,
  boostToJson,
  type ReceivedBoost,
  type TotalsBy,
  type WebhookStatus,
} from '@rivulet/keysend/receiving';
import { formatMsat } from '../format/amount.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';
import { formatPosition } from './valueInput.js';

/** A stranger's text in one cell. */
const cell = (text: string | undefined): string => shorten(printable(text ?? ''));
const longestName = 28;

function shortCell(text: string | undefined): string {
  const characters = [...printable(text ?? '')];
  return characters.length <= longestName
    ? characters.join('')
    : `${characters.slice(0, longestName - 1).join('')}…`;
}

export function describeBoosts(boosts: readonly ReceivedBoost[]): string {
  return formatTable(
    ['>NUMBER', 'TIME (UTC)', 'KIND', '>AMOUNT', 'FROM', 'SIGNED BY', 'SHOW', 'APP', 'MESSAGE'],
    boosts.map(({ id, receivedAtMs, kind, amountMsat, sender, show, app, message }) => [
      String(id),
      formatTime(receivedAtMs),
      kind,
      formatMsat(amountMsat),
      shortCell(sender.name),
      shortId(sender.provenKey ?? ''),
      shortCell(show.name ?? show.guid),
      shortCell(app.name),
      cell(message),
    ]),
  );
}

/** One line, as it comes. */
export function describeArrival(boost: ReceivedBoost): string {
  const { receivedAtMs, kind, amountMsat, sender, show, episode, app, message } = boost;
  const about = [show.name ?? show.guid, episode.name].filter((text) => text !== undefined);
  return [
    `${formatTime(receivedAtMs)}  ${kind} ${formatMsat(amountMsat)}`,
    ...(sender.name === undefined ? [] : [` from ${cell(sender.name)}`]),
    ...(sender.provenKey === undefined ? [] : [` (signed by ${shortId(sender.provenKey)})`]),
    ...(about.length === 0 ? [] : [` for ${about.map(cell).join(', ')}`]),
    ...(app.name === undefined ? [] : [` with ${cell(app.name)}`]),
    ...(message === undefined ? [] : [`: ${printable(message)}`]),
  ].join('');
}

export function describeBoost(boost: ReceivedBoost, legs: readonly ReceivedBoost[]): string {
  const { sender, show, episode, remote, share, app, account, reply } = boost;
  const seconds = boost.positionSeconds;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['number', String(boost.id)],
    ['received', `${formatTime(boost.receivedAtMs)} UTC by ${printable(boost.source)}`],
    ['kind', boost.kind],
    ['amount', formatMsat(boost.amountMsat)],
    ['payment hash', boost.paymentHash],
    ['message', boost.message],
    ['from', sender.name],
    ['sender id', sender.id],
    ['says it is', sender.claimedKey],
    ['signed by', sender.provenKey],
    ['show', show.name],
    ['show guid', show.guid],
    ['show number', show.feedId],
    ['feed', show.url],
    ['episode', episode.name],
    ['episode guid', episode.guid],
    ['episode number', episode.itemId],
    ['at', seconds === undefined ? undefined : formatPosition(seconds)],
    ['played feed', remote.feedGuid],
    ['played item', remote.itemGuid],
    ['app', app.version === undefined ? app.name : `${app.name ?? ''} ${app.version}`],
    ['share of', share.name],
    ['share', share.valueMsat === undefined ? undefined : formatMsat(share.valueMsat)],
    ['whole boost', share.totalMsat === undefined ? undefined : formatMsat(share.totalMsat)],
    ['boost id', boost.boostUuid],
    ['leg id', boost.legUuid],
    ['account', account === undefined ? undefined : `${account.value} (${account.key})`],
    ['reply to', reply?.address],
    [
      'reply account',
      reply?.customKey === undefined ? undefined : `${reply.customKey}=${reply.customValue ?? ''}`,
    ],
    ['problems', boost.problems.length === 0 ? undefined : boost.problems.join('; ')],
  ];
  const shown = lines.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(14)}  ${printable(value)}`],
  );
  const records = boostToJson(boost).records.map(({ type, meaning, text, json, hex, problem }) => [
    type,
    meaning ?? 'unknown',
    printable(text ?? (json === undefined ? hex : JSON.stringify(json))) +
      (problem === undefined ? '' : ` (${problem})`),
  ]);
  return [
    ...shown,
    ...(records.length === 0 ? [] : ['', formatTable(['>RECORD', 'MEANING', 'VALUE'], records)]),
    ...(legs.length < 2 ? [] : ['', `${legs.length} legs of this boost arrived:`, describeBoosts(legs)]),
  ].join('\n');
}

export function describeTotals({ groups, total, groupCount }: BoostTotals, by: TotalsBy): string {
  const cells = ({ count, amountMsat, kinds }: BoostTotals['total']): string[] => [
    String(kinds.boost.count + kinds.auto.count + kinds.payment.count),
    formatMsat(kinds.boost.amountMsat + kinds.auto.amountMsat + kinds.payment.amountMsat),
    String(kinds.stream.count),
    formatMsat(kinds.stream.amountMsat),
    String(count),
    formatMsat(amountMsat),
  ];
  const nameOf = ({ key, name }: BoostTotals['groups'][0]): string => {
    if (key === '') return '(not said)';
    return name === '' ? shortCell(key.slice(key.lastIndexOf('\n') + 1)) : shortCell(name);
  };
  const table = formatTable(
    [by.toUpperCase(), '>BOOSTS', '>AMOUNT', '>STREAMS', '>AMOUNT', '>ALL', '>AMOUNT'],
    [...groups.map((group) => [nameOf(group), ...cells(group)]), ['all', ...cells(total)]],
  );
  return groupCount <= groups.length
    ? table
    : `${table}\n${groupCount - groups.length} more are not shown (--limit)`;
}

export function describeWebhooks(webhooks: readonly WebhookStatus[], nowMs: number): string {
  if (webhooks.length === 0) return 'no webhooks; add one with: rivulet boosts webhooks add https://…';
  return webhooks
    .map((webhook) => {
      const { id, url, disabled, delivered, lastDeliveredAtMs, waiting, failing, dead, deadForgotten } =
        webhook;
      const given = dead.length + deadForgotten;
      return [
        `webhook ${id}  ${printable(url)}${disabled === undefined ? '' : '  DISABLED'}`,
        ...(disabled === undefined
          ? []
          : [`  disabled ${formatTime(disabled.atMs)}: ${printable(disabled.reason)}`]),
        `  ${delivered} delivered${lastDeliveredAtMs === undefined ? '' : `, the last ${formatTime(lastDeliveredAtMs)}`}; ${waiting} payments to look at`,
        ...(failing === undefined
          ? []
          : [
              `  ${failing.id} failed ${failing.attempts} times since ${formatTime(failing.sinceMs)} (${printable(failing.problem)}); ${failing.retryAtMs <= nowMs ? 'due now' : `again at ${formatTime(failing.retryAtMs)}`}`,
            ]),
        ...(given === 0
          ? []
          : [`  ${given} given up; send one again with: rivulet boosts webhooks redeliver <delivery>`]),
        ...dead
          .slice(-10)
          .map((one) => `    ${one.id}  ${formatTime(one.diedAtMs)}  ${printable(one.problem)}`),
      ].join('\n');
    })
    .join('\n\n');
}
