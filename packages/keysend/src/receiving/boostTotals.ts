import type { Facet } from './boostFacets.js';
import type { BoostFilter } from './boostFilter.js';
import type { BoostTotal, BoostTotals, Sum, TotalsBy } from './boostStore.js';
import { type BoostKind, boostKinds } from './receivedBoost.js';

export const dayMs = 86_400_000;

/** `2026-11-21`, UTC. */
function dayText(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10);
}

/** Whether sums of days, kinds, shows, episodes, apps and senders tell all that the filter asks for. */
export function isCoarse({ fromMs = 0, untilMs = 0, ...filter }: BoostFilter): boolean {
  const { minMsat, text, account, remote, source } = filter;
  const finer = [minMsat, text, account, remote, source];
  return fromMs % dayMs === 0 && untilMs % dayMs === 0 && finer.every((value) => value === undefined);
}

/** Sums of boosts that are alike in what they are grouped by. */
export interface PartialSum extends Sum {
  readonly kind: BoostKind;
  readonly day: number;
  /** Of what they are grouped by; not for days and kinds. */
  readonly facet?: Facet;
}

interface Group {
  name: string;
  facet: Facet | undefined;
  readonly kinds: Record<BoostKind, Sum>;
}

const zero: Sum = { count: 0, amountMsat: 0n };
const noKinds = (): Record<BoostKind, Sum> => ({ boost: zero, stream: zero, auto: zero, payment: zero });
const add = (a: Sum, b: Sum): Sum => ({ count: a.count + b.count, amountMsat: a.amountMsat + b.amountMsat });
const sumOf = (kinds: Record<BoostKind, Sum>): Sum => boostKinds.map((kind) => kinds[kind]).reduce(add, zero);

/** Puts sums together; of the same group, later ones name it. */
export function groupSums(
  sums: Iterable<PartialSum>,
  { by, limit }: { readonly by: TotalsBy; readonly limit: number },
): BoostTotals {
  const groups = new Map<string, Group>();
  const all = noKinds();
  for (const { kind, day, facet, count, amountMsat } of sums) {
    const key = by === 'day' ? dayText(day) : by === 'kind' ? kind : (facet?.key ?? '');
    let group = groups.get(key);
    if (group === undefined) {
      group = { name: '', facet: undefined, kinds: noKinds() };
      groups.set(key, group);
    }
    if (facet !== undefined && facet.label !== '') group.name = facet.label;
    if (facet !== undefined) group.facet = facet;
    group.kinds[kind] = add(group.kinds[kind], { count, amountMsat });
    all[kind] = add(all[kind], { count, amountMsat });
  }
  const totals = Array.from(groups, ([key, { name, facet, kinds }]): BoostTotal => {
    const filter = filterOf({ by, key, facet });
    return {
      key,
      name: by === 'day' || by === 'kind' ? key : name,
      ...sumOf(kinds),
      kinds,
      ...(filter === undefined ? {} : { filter }),
    };
  });
  totals.sort((a, b) => {
    if (by === 'day') return a.key < b.key ? 1 : -1;
    if (a.amountMsat !== b.amountMsat) return a.amountMsat < b.amountMsat ? 1 : -1;
    return a.key < b.key ? -1 : 1;
  });
  return {
    groups: totals.slice(0, limit),
    total: { ...sumOf(all), kinds: all },
    groupCount: totals.length,
  };
}

/** What finds the boosts of a group in a list. */
function filterOf({
  by,
  key,
  facet,
}: {
  by: TotalsBy;
  key: string;
  facet: Facet | undefined;
}): BoostFilter | undefined {
  const value = key.slice(key.indexOf(':') + 1);
  switch (by) {
    case 'day': {
      const fromMs = Date.parse(key);
      return { fromMs, untilMs: fromMs + dayMs };
    }
    case 'kind':
      return { kinds: [key as BoostKind] };
    case 'episode': {
      const episode = facet === undefined ? '' : facet.alias === '' ? facet.label : facet.alias;
      const show = key.slice(0, Math.max(0, key.indexOf('\n')));
      if (key !== '' && episode === '') return undefined;
      return { episode, ...(show === '' ? {} : { show: show.slice(show.indexOf(':') + 1) }) };
    }
    case 'sender':
      return key.startsWith('key:') ? { provenSender: value } : { sender: value };
    case 'show':
      return { show: value };
    case 'app':
      return { app: value };
  }
}
