/** A part of the item that was listened to, in whole milliseconds of content; it ends before `toMs`. */
export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
}

export function lengthMs(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}

/** Adds what was listened to next: what follows on is one stretch. */
export function appendStretch(stretches: readonly Stretch[], next: Stretch): Stretch[] {
  if (next.toMs <= next.fromMs) return [...stretches];
  const last = stretches.at(-1);
  if (last?.toMs !== next.fromMs) return [...stretches, next];
  return [...stretches.slice(0, -1), { fromMs: last.fromMs, toMs: next.toMs }];
}

/** The first `ms` milliseconds that were listened to, and the rest. */
export function takeMs(stretches: readonly Stretch[], ms: number): { taken: Stretch[]; rest: Stretch[] } {
  const taken: Stretch[] = [];
  const rest: Stretch[] = [];
  let left = ms;
  for (const { fromMs, toMs } of stretches) {
    const cutMs = Math.min(toMs, fromMs + left);
    if (cutMs > fromMs) taken.push({ fromMs, toMs: cutMs });
    if (cutMs < toMs) rest.push({ fromMs: cutMs, toMs });
    left -= cutMs - fromMs;
  }
  return { taken, rest };
}

/** The same time, cut wherever a boundary is: in no piece does it change who is paid. */
export function cutAt(stretches: readonly Stretch[], boundariesMs: readonly number[]): Stretch[] {
  return stretches.flatMap(({ fromMs, toMs }) => {
    const inside = boundariesMs.filter((boundaryMs) => boundaryMs > fromMs && boundaryMs < toMs);
    const edges = [fromMs, ...inside, toMs];
    return inside.length === 0
      ? [{ fromMs, toMs }]
      : edges.slice(1).map((edgeMs, i) => ({ fromMs: edges[i] as number, toMs: edgeMs }));
  });
}
