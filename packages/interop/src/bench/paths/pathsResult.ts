import type { PathPair } from './pathPairs.js';
import type { LoadedGraph, PathAnswer } from './pathQuery.js';
import type { PathsImplementation } from './pathsProcess.js';
import type { CheckedAnswer, RouteChecker } from './routeCheck.js';

/** What one implementation made of one set of pairs. */
interface FoundPaths {
  readonly found: number;
  /** Answers that break a rule of the graph, or a limit of the query. */
  readonly invalid: number;
  /** What the first of them breaks. */
  readonly invalidRule: string | undefined;
  readonly elapsedMs: { readonly p50: number; readonly p99: number; readonly mean: number };
}

/** Of the pairs that both found. */
interface PathsQuality {
  readonly medianFeeMsat: number;
  /** The fee as millionths of the amount. */
  readonly medianFeePpm: number;
  /** That all channels behind the first have the liquidity, were all balances equally likely. */
  readonly medianChance: number;
  readonly meanParts: number;
  readonly meanHops: number;
}

export interface PathsSet {
  readonly pairs: number;
  /** Pairs that either found. */
  readonly foundByAny: number;
  readonly foundByAll: number;
  readonly byImplementation: Partial<
    Record<PathsImplementation, FoundPaths & { readonly quality: PathsQuality }>
  >;
  /** The least fee that the textbook's search knows: the median over the pairs that all found. */
  readonly medianCheapestFeeMsat: number | undefined;
  /** Rivulet's fee over LDK's, both plus 1 msat: the median over the pairs that both found. */
  readonly medianFeeRatio: number | undefined;
}

export interface PathsResult {
  readonly graph: { readonly origin: string; readonly nodes: number; readonly channels: number };
  readonly loaded: Partial<Record<PathsImplementation, LoadedGraph>>;
  readonly onePath: PathsSet;
  readonly severalParts: PathsSet;
}

/** The value below which a share (0 to 1) lies. */
function quantile(values: readonly number[], share: number): number {
  const ascending = [...values].sort((a, b) => a - b);
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

type Checked = CheckedAnswer | undefined;

function summarize(answers: readonly PathAnswer[], checked: readonly Checked[], rule?: string): FoundPaths {
  const times = answers.map(({ elapsedMs }) => elapsedMs);
  const valid = checked.filter((each) => each !== undefined).length;
  return {
    found: valid,
    invalid: answers.filter(({ parts }) => parts !== undefined).length - valid,
    invalidRule: rule,
    elapsedMs: { p50: quantile(times, 0.5), p99: quantile(times, 0.99), mean: mean(times) },
  };
}

function qualityOf(checked: readonly { pair: PathPair; answer: CheckedAnswer }[]): PathsQuality {
  return {
    medianFeeMsat: quantile(
      checked.map(({ answer }) => Number(answer.feeMsat)),
      0.5,
    ),
    medianFeePpm: quantile(
      checked.map(({ pair, answer }) => (Number(answer.feeMsat) * 1e6) / Number(pair.query.amountMsat)),
      0.5,
    ),
    medianChance: quantile(
      checked.map(({ answer }) => answer.chance),
      0.5,
    ),
    meanParts: mean(checked.map(({ answer }) => answer.parts)),
    meanHops: mean(checked.map(({ answer }) => answer.hops)),
  };
}

/** Checks all answers, and compares those to the pairs that everyone found. */
export function comparePaths(
  pairs: readonly PathPair[],
  answersBy: Partial<Record<PathsImplementation, readonly PathAnswer[]>>,
  checker: RouteChecker,
): PathsSet {
  const implementations = (['rivulet', 'ldk'] as const).flatMap((name) => {
    const answers = answersBy[name];
    if (answers === undefined) return [];
    let rule: string | undefined;
    const checked = pairs.map(({ query }, i): Checked => {
      const parts = answers[i]?.parts;
      if (parts === undefined) return undefined;
      try {
        return checker.check(query, parts);
      } catch (error) {
        rule ??= error instanceof Error ? error.message : String(error);
        return undefined;
      }
    });
    return [{ name, answers, checked, found: summarize(answers, checked, rule) }];
  });
  const everyone = pairs.flatMap((pair, i) =>
    implementations.every(({ checked }) => checked[i] !== undefined) ? [{ pair, i }] : [],
  );
  const feesBy = (name: PathsImplementation): bigint[] | undefined => {
    const one = implementations.find((each) => each.name === name);
    return one && everyone.map(({ i }) => (one.checked[i] as CheckedAnswer).feeMsat);
  };
  const [ours, theirs] = [feesBy('rivulet'), feesBy('ldk')];
  const cheapest = everyone.flatMap(({ pair }) => pair.cheapest?.feeMsat ?? []);
  return {
    pairs: pairs.length,
    foundByAny: pairs.filter((_, i) => implementations.some(({ checked }) => checked[i] !== undefined))
      .length,
    foundByAll: everyone.length,
    byImplementation: Object.fromEntries(
      implementations.map(({ name, checked, found }) => [
        name,
        {
          ...found,
          quality: qualityOf(everyone.map(({ pair, i }) => ({ pair, answer: checked[i] as CheckedAnswer }))),
        },
      ]),
    ),
    medianCheapestFeeMsat: cheapest.length === 0 ? undefined : quantile(cheapest, 0.5),
    medianFeeRatio:
      ours &&
      theirs &&
      quantile(
        ours.map((fee, i) => (Number(fee) + 1) / (Number(theirs[i]) + 1)),
        0.5,
      ),
  };
}

const rows: readonly (readonly [string, (one: FoundPaths & { readonly quality: PathsQuality }) => string])[] =
  [
    ['found', ({ found }) => String(found)],
    ['invalid', ({ invalid }) => String(invalid)],
    ['ms, median', ({ elapsedMs }) => elapsedMs.p50.toFixed(2)],
    ['ms, p99', ({ elapsedMs }) => elapsedMs.p99.toFixed(2)],
    ['ms, mean', ({ elapsedMs }) => elapsedMs.mean.toFixed(2)],
    ['fee msat, median', ({ quality }) => quality.medianFeeMsat.toFixed(0)],
    ['fee ppm, median', ({ quality }) => quality.medianFeePpm.toFixed(0)],
    ['chance, median', ({ quality }) => quality.medianChance.toFixed(4)],
    ['parts, mean', ({ quality }) => quality.meanParts.toFixed(2)],
    ['hops, mean', ({ quality }) => quality.meanHops.toFixed(2)],
  ];

function formatSet(title: string, set: PathsSet): string[] {
  const { rivulet, ldk } = set.byImplementation;
  const line = (name: string, of: (one: NonNullable<typeof rivulet>) => string): string =>
    `  ${name.padEnd(18)}${(rivulet ? of(rivulet) : '-').padStart(12)}${(ldk ? of(ldk) : '-').padStart(12)}`;
  const notes: string[] = [];
  for (const [name, one] of [
    ['Rivulet', rivulet],
    ['LDK', ldk],
  ] as const) {
    if (one?.invalidRule !== undefined) notes.push(`  ${name}: ${one.invalidRule}`);
  }
  if (set.medianCheapestFeeMsat !== undefined) {
    notes.push(`  least fee known, median: ${set.medianCheapestFeeMsat.toFixed(0)} msat`);
  }
  if (set.medianFeeRatio !== undefined) {
    notes.push(`  fee, Rivulet / LDK, median over the same pairs: ${set.medianFeeRatio.toFixed(3)}`);
  }
  return [
    `${title}: ${set.pairs} pairs, ${set.foundByAny} found by any, ${set.foundByAll} by all`,
    `  ${''.padEnd(18)}${'Rivulet'.padStart(12)}${'LDK'.padStart(12)}`,
    ...rows.map(([name, of]) => line(name, of)),
    ...notes,
  ];
}

/** For people. */
export function formatPathsResult({ graph, loaded, onePath, severalParts }: PathsResult): string {
  const loads = (['rivulet', 'ldk'] as const).flatMap((name) => {
    const load = loaded[name];
    if (load === undefined) return [];
    const heap =
      load.heapBytes === undefined ? '' : `, heap and buffers ${(load.heapBytes / 1e6).toFixed(1)}`;
    return [
      `  ${name.padEnd(8)} loaded ${load.channels} channels of ${load.nodes} nodes in ${load.loadMs.toFixed(0)} ms; ` +
        `memory MB: resident ${(load.rssBytes / 1e6).toFixed(0)}${heap}`,
    ];
  });
  return [
    `${graph.origin}: ${graph.channels} channels, ${graph.nodes} nodes`,
    ...loads,
    '',
    ...formatSet('One path', onePath),
    '',
    ...formatSet('Up to ten parts, amounts above what one channel takes', severalParts),
  ].join('\n');
}
