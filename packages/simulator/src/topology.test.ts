import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readGraphFile } from './graphFile.js';
import { Random } from './random.js';
import { SimulationError } from './simulationError.js';
import { generateTopology, type Topology } from './topology.js';

function reachable({ channels }: Topology): number {
  const seen = new Set([0]);
  for (let before = 0; before !== seen.size; ) {
    before = seen.size;
    for (const { a, b } of channels) if (seen.has(a) || seen.has(b)) seen.add(a).add(b);
  }
  return seen.size;
}

describe('generateTopology', () => {
  test('makes what was asked for, in one piece, the same for the same seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 80 }), fc.nat(100), fc.string(), (nodeCount, more, seed) => {
        const options = { nodeCount, channelCount: nodeCount - 1 + more };
        const topology = generateTopology(options, new Random(seed));
        expect(topology.channels).toHaveLength(options.channelCount);
        expect(reachable(topology)).toBe(nodeCount);
        for (const { a, b, capacitySat, shareOfA, policies } of topology.channels) {
          expect(a).not.toBe(b);
          expect(capacitySat).toBeGreaterThanOrEqual(60_000n);
          expect(shareOfA).toBeGreaterThanOrEqual(0);
          expect(shareOfA).toBeLessThanOrEqual(1);
          for (const { htlcMinimumMsat, htlcMaximumMsat } of policies) {
            expect(htlcMaximumMsat).toBeGreaterThan(htlcMinimumMsat);
            expect(htlcMaximumMsat).toBeLessThanOrEqual(capacitySat * 1000n);
          }
        }
        expect(generateTopology(options, new Random(seed))).toEqual(topology);
      }),
    );
  });

  test('has few nodes with many channels and many with few', () => {
    const { channels } = generateTopology({ nodeCount: 300, channelCount: 1_200 }, new Random('shape'));
    const degrees = new Array<number>(300).fill(0);
    for (const { a, b } of channels) for (const node of [a, b]) degrees[node] = (degrees[node] ?? 0) + 1;
    degrees.sort((x, y) => y - x);
    expect(degrees[0]).toBeGreaterThan(40);
    expect(degrees[150]).toBeLessThan(8);
  });
});

const titles = 'node1,node2,capacity_sat,and,so,on';

describe('readGraphFile', () => {
  const given = { nodeCount: 3, random: new Random('file') };

  test('takes the channels between the first nodes, with their terms', () => {
    const text = [
      titles,
      '0,1,1000000,1,1,990000000,1000,100,80,0,1000,500000000,0,5,20',
      '1,2,70000,1,1,69000000,0,0,40,1,1,69000000,0,0,40',
      '1,3,70000,1,1,69000000,0,0,40,1,1,69000000,0,0,40',
      '0,2,500,1,1,400000,0,0,40,1,1,400000,0,0,40',
      '',
    ].join('\n');
    const { nodeCount, channels } = readGraphFile(text, given);
    expect(nodeCount).toBe(3);
    expect(channels.map(({ a, b }) => [a, b])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(channels[0]?.policies).toEqual([
      {
        disabled: false,
        htlcMinimumMsat: 1n,
        htlcMaximumMsat: 990_000_000n,
        feeBaseMsat: 1000,
        feeProportionalMillionths: 100,
        cltvExpiryDelta: 80,
      },
      {
        disabled: true,
        htlcMinimumMsat: 1000n,
        htlcMaximumMsat: 500_000_000n,
        feeBaseMsat: 0,
        feeProportionalMillionths: 5,
        // No node forwards for less.
        cltvExpiryDelta: 34,
      },
    ]);
  });

  test('says which line it cannot read, and that nothing is left', () => {
    for (const line of [
      '0,1,5',
      '0,1,1000000,1,1,9,1000,100,80,0,1000,5,0,5,x',
      `${'9'.repeat(20)}${',1'.repeat(14)}`,
    ]) {
      expect(() => readGraphFile(`${titles}\n${line}`, given)).toThrow(/^line 2 of the graph file/);
    }
    expect(() => readGraphFile(titles, given)).toThrow(SimulationError);
  });
});
