import { KeysendError } from '../keysendError.js';
import { attribute, readSeconds } from './attributes.js';
import type { Feed, FeedEnclosure, FeedItem } from './feed.js';
import { FeedProblems, quoted, type Where } from './feedProblems.js';
import { feedText } from './feedText.js';
import { isPodcast, readValue } from './valueElement.js';
import { parseXml, type XmlElement } from './xmlTree.js';

/** Bytes, or characters of text, of a feed that is read; the largest real ones are about half of it. */
export const MAX_FEED_BYTES = 20_000_000;
const MAX_GUID = 2_048;

export interface ParseFeedOptions {
  /** Where it came from. */
  readonly url?: string | undefined;
  /** `MAX_FEED_BYTES` if absent. */
  readonly maxBytes?: number | undefined;
}

/**
 * Reads an RSS 2.0 feed: its value blocks, and what is needed to name what is paid for. Strict where money could go
 * astray or memory be used up, lenient elsewhere; everything that was overlooked or left out is in `problems`.
 *
 * Namespaces go by their URI. Document types and entity declarations are refused; references other than XML's own
 * five and numbers stay as they are written.
 * @throws KeysendError `feed_invalid`: too large, not well-formed (line and column), or not RSS.
 */
export function parseFeed(xml: Uint8Array | string, options: ParseFeedOptions = {}): Feed {
  const maxBytes = options.maxBytes ?? MAX_FEED_BYTES;
  if (xml.length > maxBytes) {
    throw new KeysendError(
      'feed_invalid',
      `The feed has ${xml.length} bytes: more than ${maxBytes} are not read`,
    );
  }
  const problems = new FeedProblems();
  const { text, problem } = feedText(xml);
  const whole: Where = { path: 'feed' };
  if (problem !== undefined) problems.add(whole, problem);
  const rss = parseXml(text, (what) => problems.add(whole, what));
  const channel = rss.name === 'rss' ? rss.children.find((child) => isRss(child, 'channel')) : undefined;
  if (channel === undefined) {
    throw new KeysendError('feed_invalid', 'The feed is not RSS 2.0: it has no channel in an rss element');
  }
  return readChannel(channel, problems, options.url);
}

/**
 * The item with this guid; of several the first. An item that has no guid goes by the URL of its enclosure.
 * @throws KeysendError `item_unknown`.
 */
export function findItem(feed: Feed, guid: string): FeedItem {
  const wanted = guid.trim();
  const item =
    feed.items.find((each) => each.guid === wanted) ??
    feed.items.find((each) => each.guid === undefined && each.enclosure?.url === wanted);
  if (item === undefined) {
    throw new KeysendError(
      'item_unknown',
      `None of the ${feed.items.length} items of the feed has the guid ${quoted(wanted)}`,
    );
  }
  return item;
}

function readChannel(channel: XmlElement, problems: FeedProblems, url: string | undefined): Feed {
  const where: Where = { path: 'channel' };
  const title = textOf(channel, 'rss', 'title');
  const guid = textOf(channel, 'podcast', 'guid')?.toLowerCase();
  const self = channel.children.find(
    (child) => child.vocabulary === 'atom' && child.name === 'link' && attribute(child, 'rel') === 'self',
  );
  const address = url ?? (self === undefined ? undefined : attribute(self, 'href'));
  const medium = textOf(channel, 'podcast', 'medium')?.toLowerCase();
  tellMisplaced(channel, where, problems);
  const value = readValue(channel, where, problems);
  const elements = channel.children.filter((child) => isRss(child, 'item') || isPodcast(child, 'liveItem'));
  const items = elements.map((element, index) => readItem(element, index, problems));
  tellDuplicates(items, problems);
  return {
    ...(title === undefined ? {} : { title }),
    ...(guid === undefined ? {} : { guid }),
    ...(address === undefined ? {} : { url: address }),
    ...(medium === undefined ? {} : { medium }),
    ...(value === undefined ? {} : { value }),
    items,
    problems: problems.list(),
  };
}

function readItem(element: XmlElement, index: number, problems: FeedProblems): FeedItem {
  const title = textOf(element, 'rss', 'title') ?? textOf(element, 'itunes', 'title');
  const live = element.name === 'liveItem';
  const kind = live ? 'live item' : 'item';
  const path = title === undefined ? `${kind} ${index + 1}` : `${kind} ${index + 1} ${quoted(title)}`;
  const where: Where = { path, item: index };
  const guid = textOf(element, 'rss', 'guid');
  if (guid === undefined) problems.add(where, 'has no guid');
  if (guid !== undefined && guid.length > MAX_GUID) problems.add(where, 'has a guid too long to be used');
  const usableGuid = guid === undefined || guid.length > MAX_GUID ? undefined : guid;
  const enclosure = readEnclosure(element);
  const duration = readSeconds(textOf(element, 'itunes', 'duration'));
  tellMisplaced(element, where, problems);
  const value = readValue(element, where, problems);
  const start = attribute(element, 'start');
  return {
    index,
    ...(usableGuid === undefined ? {} : { guid: usableGuid }),
    ...(title === undefined ? {} : { title }),
    ...(enclosure === undefined ? {} : { enclosure }),
    ...(duration.value === undefined ? {} : { durationSeconds: duration.value }),
    ...(value === undefined ? {} : { value }),
    ...(live
      ? {
          live: {
            status: attribute(element, 'status')?.toLowerCase() ?? 'pending',
            ...(start === undefined ? {} : { start }),
          },
        }
      : {}),
  };
}

function readEnclosure(item: XmlElement): FeedEnclosure | undefined {
  for (const child of item.children) {
    if (!isRss(child, 'enclosure')) continue;
    const url = attribute(child, 'url');
    if (url === undefined) continue;
    const mediaType = attribute(child, 'type');
    return { url, ...(mediaType === undefined ? {} : { mediaType }) };
  }
  return undefined;
}

function tellMisplaced(parent: XmlElement, where: Where, problems: FeedProblems): void {
  for (const child of parent.children) {
    if (isPodcast(child, 'valueRecipient') || isPodcast(child, 'valueTimeSplit')) {
      problems.add(where, `has a ${child.name} outside of a value: left out`);
    } else if (child.name === 'value' && child.vocabulary !== 'podcast') {
      problems.add(where, 'has a value that is not of the podcast namespace: left out');
    } else if (child.name === 'item' && parent.name === 'item') {
      problems.add(where, 'has an item in it: left out');
    }
  }
}

function tellDuplicates(items: readonly FeedItem[], problems: FeedProblems): void {
  const seen = new Set<string>();
  for (const { guid, index } of items) {
    if (guid === undefined) continue;
    if (seen.has(guid)) {
      problems.add(
        { path: `item ${index + 1}`, item: index },
        `has the guid ${quoted(guid)} of an earlier one`,
      );
    }
    seen.add(guid);
  }
}

function isRss(element: XmlElement, name: string): boolean {
  return element.vocabulary === 'rss' && element.name === name;
}

function textOf(parent: XmlElement, vocabulary: XmlElement['vocabulary'], name: string): string | undefined {
  const child = parent.children.find((each) => each.vocabulary === vocabulary && each.name === name);
  return child === undefined || child.text === '' ? undefined : child.text;
}
