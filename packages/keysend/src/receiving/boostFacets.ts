import { foldText } from './foldText.js';
import type { NewBoost } from './receivedBoost.js';

/** What boosts are grouped by, besides their time and kind. */
export type FacetName = 'show' | 'episode' | 'app' | 'sender' | 'account' | 'remote';

export const facetNames: readonly FacetName[] = ['show', 'episode', 'app', 'sender', 'account', 'remote'];

/** One thing that boosts are about: which one, as it is grouped, shown and looked for. */
export interface Facet {
  /** What tells it from others of its name: `guid:…`, `name:…`; empty where nothing is known. */
  readonly key: string;
  /** As people know it; empty where nobody said. */
  readonly label: string;
  /** Another text that finds it; may be empty. */
  readonly alias: string;
}

const none: Facet = { key: '', label: '', alias: '' };

/**
 * What a boost is about. A show is what its guid says, where there is none its name, then its number in the podcast
 * index, then its address: apps give different ones. A sender is the node that is proven, else what it calls itself.
 */
export function boostFacets(boost: NewBoost): Readonly<Record<FacetName, Facet>> {
  const { show, episode, app, sender, account, remote } = boost;
  const showKey = firstKey({ guid: show.guid, name: show.name, feed: show.feedId, url: show.url });
  const episodeKey = firstKey({ guid: episode.guid, item: episode.itemId, name: episode.name });
  return {
    show: { key: showKey, label: show.name ?? '', alias: show.feedId ?? '' },
    episode:
      episodeKey === ''
        ? none
        : {
            // Feeds number their episodes alike: "1" of one show is not "1" of another.
            key: `${showKey}\n${episodeKey}`,
            label: episode.name ?? '',
            alias: foldText(episode.guid ?? episode.itemId ?? ''),
          },
    app: { key: firstKey({ name: app.name }), label: app.name ?? '', alias: '' },
    sender: {
      key: firstKey({ key: sender.provenKey, id: sender.id, name: sender.name }),
      label: sender.name ?? '',
      alias: foldText(sender.id ?? ''),
    },
    account:
      account === undefined
        ? none
        : { key: `${account.key}:${foldText(account.value)}`, label: account.value, alias: '' },
    remote: { key: firstKey({ guid: remote.feedGuid }), label: remote.feedGuid ?? '', alias: '' },
  };
}

function firstKey(names: Readonly<Record<string, string | undefined>>): string {
  for (const [name, value] of Object.entries(names)) {
    if (value !== undefined && value !== '') return `${name}:${foldText(value)}`;
  }
  return '';
}

/** The beginnings of keys that a text may follow. */
const keyPrefixes: Readonly<Record<FacetName, readonly string[]>> = {
  show: ['guid:', 'name:', 'feed:', 'url:'],
  episode: [],
  app: ['name:'],
  sender: ['id:', 'name:'],
  account: ['696969:', '112111100:', '818818:', '906608:', '7771777:', ''],
  remote: ['guid:'],
};

/** How a text finds facets: by any of these keys, or by a label or alias that is, folded, the text. */
export interface FacetQuery {
  readonly keys: readonly string[];
  readonly text: string;
}

export function facetQuery(name: FacetName, given: string): FacetQuery {
  const text = foldText(given);
  return { keys: keyPrefixes[name].map((prefix) => prefix + text), text };
}

export function facetMatches(facet: Facet, { keys, text }: FacetQuery): boolean {
  // Nothing stands for boosts that do not say.
  if (text === '') return facet.key === '';
  return keys.includes(facet.key) || foldText(facet.label) === text || facet.alias === text;
}
