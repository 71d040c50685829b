import { describe, expect, test } from 'vitest';
import { parseGraphCsv } from './benchGraph.js';
import { createSyntheticGraph } from './syntheticGraph.js';

function degreesOf(graph: ReturnType<typeof createSyntheticGraph>): number[] {
  const degrees = new Array<number>(graph.nodeCount).fill(0);
  for (const { nodes } of graph.channels) for (const node of nodes) degrees[node] = (degrees[node] ?? 0) + 1;
  return degrees.sort((a, b) => b - a);
}

describe('a synthetic network', () => {
  const graph = createSyntheticGraph({ seed: 1 });

  test('has the size of the public one, and its degrees', () => {
    expect(graph.nodeCount).toBe(17_324);
    expect(Math.abs(graph.channels.length - 50_808)).toBeLessThan(500);
    const degrees = degreesOf(graph);
    expect(degrees[0]).toBeGreaterThan(1200);
    expect(degrees[0]).toBeLessThan(3000);
    expect(degrees.filter((degree) => degree === 1).length / degrees.length).toBeCloseTo(0.55, 1);
    expect(degrees.at(-1)).toBe(1);
  });

  test('has 35 % of its directions disabled, and limits within capacities', () => {
    const directions = graph.channels.flatMap((channel) => channel.directions);
    const disabled = directions.filter(({ enabled }) => !enabled).length / directions.length;
    expect(disabled).toBeGreaterThan(0.33);
    expect(disabled).toBeLessThan(0.37);
    for (const { capacitySat, directions } of graph.channels) {
      for (const { htlcMinimumMsat, htlcMaximumMsat } of directions) {
        expect(htlcMaximumMsat).toBeLessThanOrEqual(capacitySat * 1000);
        expect(htlcMinimumMsat).toBeLessThanOrEqual(htlcMaximumMsat);
      }
    }
  });

  test('hangs together', () => {
    const neighbours = new Map<number, number[]>();
    for (const {
      nodes: [a, b],
    } of graph.channels) {
      neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
      neighbours.set(b, [...(neighbours.get(b) ?? []), a]);
    }
    const seen = new Set([0]);
    for (const node of seen) for (const next of neighbours.get(node) ?? []) seen.add(next);
    expect(seen.size).toBe(graph.nodeCount);
  });

  test('is the same for the same seed, and another for another', () => {
    const small = { nodes: 200, channels: 600 };
    expect(createSyntheticGraph({ seed: 7, ...small })).toEqual(createSyntheticGraph({ seed: 7, ...small }));
    expect(createSyntheticGraph({ seed: 8, ...small }).channels).not.toEqual(
      createSyntheticGraph({ seed: 7, ...small }).channels,
    );
  });
});

test('a file of channels is read, and a broken line is named', () => {
  const text = 'titles\n0,1,1000,1,1,990000,0,100,40,0,1,990000,1000,1,80\n';
  expect(parseGraphCsv(text, 'g.csv')).toMatchObject({
    nodeCount: 2,
    channels: [{ nodes: [0, 1], capacitySat: 1000, directions: [{ enabled: true }, { enabled: false }] }],
  });
  expect(() => parseGraphCsv(`${text}1,2,3\n`, 'g.csv')).toThrow('g.csv, line 3');
});
