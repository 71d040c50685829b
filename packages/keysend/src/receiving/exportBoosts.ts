import type { BoostFilter } from './boostFilter.js';
import { boostToJson, recordsToText } from './boostJson.js';
import type { BoostStore } from './boostStore.js';
import type { ReceivedBoost } from './receivedBoost.js';

/** `json` is one array; `ndjson` a line for each. */
export type ExportFormat = 'csv' | 'json' | 'ndjson';

const pageSize = 500;

/**
 * Writes received payments, the oldest first, in parts of some hundred: nothing grows with how many there are. CSV is
 * that of RFC 4180 in UTF-8, with headings; texts of strangers that a spreadsheet would compute begin with `'`.
 */
export function* exportBoosts(
  boosts: BoostStore,
  { filter = {}, format }: { readonly filter?: BoostFilter; readonly format: ExportFormat },
): Iterable<string> {
  if (format === 'csv') yield `${columns.map(([name]) => name).join(',')}\r\n`;
  let isFirst = true;
  for (const page of pagesOf(boosts, filter)) {
    switch (format) {
      case 'csv':
        yield page
          .map((boost) => `${columns.map(([, cell]) => csvCell(cell(boost))).join(',')}\r\n`)
          .join('');
        break;
      case 'ndjson':
        yield page.map((boost) => `${JSON.stringify(boostToJson(boost))}\n`).join('');
        break;
      case 'json':
        yield `${isFirst ? '[\n' : ',\n'}${page.map((boost) => JSON.stringify(boostToJson(boost))).join(',\n')}`;
        break;
    }
    isFirst = false;
  }
  if (format === 'json') yield isFirst ? '[]\n' : '\n]\n';
}

function* pagesOf(boosts: BoostStore, filter: BoostFilter): Iterable<readonly ReceivedBoost[]> {
  let cursor: string | undefined;
  do {
    const page = boosts.list(filter, {
      limit: pageSize,
      order: 'oldest',
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (page.boosts.length > 0) yield page.boosts;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Our own text needs no care; a stranger's does. */
type Cell = { readonly own: string } | { readonly theirs: string | undefined };

const own = (value: string | number | bigint | undefined): Cell => ({ own: value?.toString() ?? '' });
const theirs = (value: string | undefined): Cell => ({ theirs: value });

const columns: readonly (readonly [string, (boost: ReceivedBoost) => Cell])[] = [
  ['id', ({ id }) => own(id)],
  ['received_at', ({ receivedAtMs }) => own(new Date(receivedAtMs).toISOString())],
  ['source', ({ source }) => theirs(source)],
  ['payment_hash', ({ paymentHash }) => own(paymentHash)],
  ['amount_msat', ({ amountMsat }) => own(amountMsat)],
  ['amount_sat', ({ amountMsat }) => own(satText(amountMsat))],
  ['kind', ({ kind }) => own(kind)],
  ['sender_name', ({ sender }) => theirs(sender.name)],
  ['sender_id', ({ sender }) => theirs(sender.id)],
  ['sender_claimed_key', ({ sender }) => own(sender.claimedKey)],
  ['sender_proven_key', ({ sender }) => own(sender.provenKey)],
  ['show', ({ show }) => theirs(show.name)],
  ['show_guid', ({ show }) => theirs(show.guid)],
  ['show_feed_id', ({ show }) => theirs(show.feedId)],
  ['show_url', ({ show }) => theirs(show.url)],
  ['episode', ({ episode }) => theirs(episode.name)],
  ['episode_guid', ({ episode }) => theirs(episode.guid)],
  ['episode_item_id', ({ episode }) => theirs(episode.itemId)],
  ['remote_feed_guid', ({ remote }) => theirs(remote.feedGuid)],
  ['remote_item_guid', ({ remote }) => theirs(remote.itemGuid)],
  ['position_seconds', ({ positionSeconds }) => own(positionSeconds)],
  ['app', ({ app }) => theirs(app.name)],
  ['app_version', ({ app }) => theirs(app.version)],
  ['message', ({ message }) => theirs(message)],
  ['boost_uuid', ({ boostUuid }) => theirs(boostUuid)],
  ['leg_uuid', ({ legUuid }) => theirs(legUuid)],
  ['share_name', ({ share }) => theirs(share.name)],
  ['share_msat', ({ share }) => own(share.valueMsat)],
  ['total_msat', ({ share }) => own(share.totalMsat)],
  ['account_key', ({ account }) => own(account?.key)],
  ['account', ({ account }) => theirs(account?.value)],
  ['reply_address', ({ reply }) => theirs(reply?.address)],
  ['reply_key', ({ reply }) => own(reply?.customKey)],
  ['reply_value', ({ reply }) => theirs(reply?.customValue)],
  ['records', ({ records }) => own(recordsToText(records))],
  ['problems', ({ problems }) => theirs(problems.join('; '))],
];

/** What spreadsheets take for a formula, also behind white space; full-width forms count as the signs themselves. */
const formula = /^[\s\p{Cf}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u;

function csvCell(cell: Cell): string {
  const text = 'own' in cell ? cell.own : (cell.theirs ?? '');
  const safe = 'theirs' in cell && formula.test(text) ? `'${text}` : text;
  // RFC 4180: fields with line breaks, quotes or commas in quotes, and quotes doubled. Spreadsheets take ; for a comma.
  return /[",;\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Satoshi with what is left of them: `12.345`. */
function satText(amountMsat: bigint): string {
  const fraction = (amountMsat % 1_000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${amountMsat / 1_000n}${fraction === '' ? '' : `.${fraction}`}`;
}
