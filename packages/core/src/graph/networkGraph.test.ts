import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes/index.js';
import { encodeFeatureBits } from '../wire/index.js';
import { graphOf, nodeId, testEdge } from './graph.test.support.js';
import { GraphError } from './graphError.js';
import { type GraphChannel, type GraphPolicyUpdate, NetworkGraph } from './networkGraph.js';

const policy = {
  timestamp: 10,
  disabled: false,
  cltvExpiryDelta: 40,
  htlcMinimumMsat: 1n,
  htlcMaximumMsat: 900_000_000n,
  feeBaseMsat: 1000,
  feeProportionalMillionths: 1,
};

function channel(shortChannelId: bigint, [a, b]: readonly [number, number]) {
  return { shortChannelId, nodeId1: nodeId(a), nodeId2: nodeId(b), capacitySat: 1_000_000n };
}

/** Comparable, whatever the order of the adjacency. */
function plain(channels: Iterable<GraphChannel>): unknown[] {
  return [...channels]
    .map((each) => ({ ...each, nodeId1: bytesToHex(each.nodeId1), nodeId2: bytesToHex(each.nodeId2) }))
    .sort((a, b) => (a.shortChannelId < b.shortChannelId ? -1 : 1));
}

describe('NetworkGraph', () => {
  test('says what was put in', () => {
    const graph = new NetworkGraph();
    expect(graph.addChannel(channel(7n, [1, 2]))).toBe(true);
    expect(graph.addChannel(channel(7n, [1, 3]))).toBe(false);
    expect(graph.updateChannel({ ...policy, shortChannelId: 7n, direction: 1 })).toBe(true);
    expect(graph.updateChannel({ ...policy, shortChannelId: 8n, direction: 1 })).toBe(false);
    expect(graph.getChannel(7n)).toEqual({ ...channel(7n, [1, 2]), policies: [undefined, policy] });
    expect(graph.getChannel(8n)).toBeUndefined();
    expect(graph.channelsOf(nodeId(2)).map(({ shortChannelId }) => shortChannelId)).toEqual([7n]);
    expect(graph.channelsOf(nodeId(3))).toEqual([]);
    expect([...graph.nodeIds()].map(bytesToHex).sort()).toEqual([nodeId(1), nodeId(2)].map(bytesToHex));
    expect([graph.nodeCount, graph.channelCount]).toEqual([2, 1]);
  });

  test('keeps the later of two updates', () => {
    const graph = new NetworkGraph();
    graph.addChannel(channel(7n, [1, 2]));
    const update = { ...policy, shortChannelId: 7n, direction: 0 } as const;
    expect(graph.updateChannel({ ...update, timestamp: 20, feeBaseMsat: 5 })).toBe(true);
    expect(graph.updateChannel({ ...update, timestamp: 19, feeBaseMsat: 6 })).toBe(false);
    expect(graph.getChannel(7n)?.policies[0]?.feeBaseMsat).toBe(5);
  });

  test('clamps a maximum that no number holds', () => {
    const graph = new NetworkGraph();
    graph.addChannel(channel(7n, [1, 2]));
    graph.updateChannel({ ...policy, shortChannelId: 7n, direction: 0, htlcMaximumMsat: 2n ** 64n - 1n });
    expect(graph.getChannel(7n)?.policies[0]?.htlcMaximumMsat).toBe(2n ** 53n - 1n);
  });

  test('forgets a node with its last channel, and what it told of itself', () => {
    const graph = graphOf([testEdge(1, [1, 2]), testEdge(2, [2, 3])]);
    graph.setNode(nodeId(2), { features: encodeFeatureBits([8]), timestamp: 5 });
    expect(graph.removeChannel(1n)).toBe(true);
    expect(graph.removeChannel(1n)).toBe(false);
    expect([1, 2, 3].map((number) => graph.hasNode(nodeId(number)))).toEqual([false, true, true]);
    graph.removeChannel(2n);
    expect([graph.nodeCount, graph.channelCount]).toEqual([0, 0]);
    graph.addChannel(channel(3n, [2, 4]));
    expect(graph.nodeFeatures(nodeId(2))).toBeUndefined();
  });

  test('keeps what a node tells, no older news, and no more than it needs', () => {
    const graph = graphOf([testEdge(1, [1, 2])]);
    const features = encodeFeatureBits([9, 15, 17, 55]);
    const alias = new Uint8Array(32).fill(65);
    expect(graph.setNode(nodeId(3), { features, timestamp: 5 })).toBe(false);
    expect(graph.setNode(nodeId(1), { features, timestamp: 5, alias })).toBe(true);
    expect(graph.setNode(nodeId(1), { features: new Uint8Array(0), timestamp: 4 })).toBe(false);
    expect(graph.getNode(nodeId(1))).toEqual({ features, timestamp: 5, alias });
    const huge = encodeFeatureBits([9, 60_001]);
    graph.setNode(nodeId(2), { features: huge, timestamp: 5 });
    expect(graph.nodeFeatures(nodeId(2))).toHaveLength(64);
    expect(graph.requiresUnknown(nodeId(2))).toBe(false);
    graph.setNode(nodeId(2), { features: encodeFeatureBits([9, 60_000]), timestamp: 6 });
    expect(graph.requiresUnknown(nodeId(2))).toBe(true);
  });

  test('refuses what no channel can be', () => {
    const graph = new NetworkGraph();
    const codeOf = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return error instanceof GraphError ? error.code : error;
      }
    };
    expect(codeOf(() => graph.addChannel(channel(1n, [2, 1])))).toBe('nodes_out_of_order');
    expect(codeOf(() => graph.addChannel(channel(1n, [1, 1])))).toBe('nodes_out_of_order');
    expect(codeOf(() => graph.addChannel({ ...channel(1n, [1, 2]), capacitySat: -1n }))).toBe(
      'amount_invalid',
    );
    expect(codeOf(() => graph.addChannel({ ...channel(1n, [1, 2]), nodeId1: new Uint8Array(32) }))).toBe(
      'node_id_invalid',
    );
    expect([graph.nodeCount, graph.channelCount]).toEqual([0, 0]);
    graph.addChannel(channel(1n, [1, 2]));
    const update = { ...policy, shortChannelId: 1n, direction: 0 } as const;
    expect(codeOf(() => graph.updateChannel({ ...update, feeBaseMsat: 2 ** 32 }))).toBe('policy_invalid');
    expect(codeOf(() => graph.updateChannel({ ...update, htlcMinimumMsat: -1n }))).toBe('amount_invalid');
  });

  test('is what a plain map of channels is, whatever comes and goes', () => {
    const operation = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('add' as const), fc.nat(60), fc.nat(15), fc.nat(15)) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('remove' as const), fc.nat(60), fc.nat(1), fc.nat(1)) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('update' as const), fc.nat(60), fc.nat(1), fc.nat(3)) },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300, size: 'max' }), (operations) => {
        const graph = new NetworkGraph();
        const model = new Map<bigint, GraphChannel>();
        for (const [kind, number, a, b] of operations) {
          // Ids that differ in the high word, in the low word, or in both.
          const shortChannelId = (BigInt(number % 8) << 40n) + BigInt(number >> 3);
          switch (kind) {
            case 'add': {
              if (a === b) break;
              const added = channel(shortChannelId, [Math.min(a, b), Math.max(a, b)]);
              expect(graph.addChannel(added)).toBe(!model.has(shortChannelId));
              if (!model.has(shortChannelId))
                model.set(shortChannelId, { ...added, policies: [undefined, undefined] });
              break;
            }
            case 'remove':
              expect(graph.removeChannel(shortChannelId)).toBe(model.delete(shortChannelId));
              break;
            case 'update': {
              const direction = a === 0 ? 0 : 1;
              const update: GraphPolicyUpdate = {
                ...policy,
                shortChannelId,
                direction,
                feeBaseMsat: b,
                disabled: b === 0,
              };
              const known = model.get(shortChannelId);
              expect(graph.updateChannel(update)).toBe(known !== undefined);
              if (known === undefined) break;
              const terms = { ...policy, feeBaseMsat: b, disabled: b === 0 };
              const [one, two] = known.policies;
              model.set(shortChannelId, {
                ...known,
                policies: direction === 0 ? [terms, two] : [one, terms],
              });
              break;
            }
          }
        }
        expect(plain(graph.channels())).toEqual(plain(model.values()));
        expect(graph.channelCount).toBe(model.size);
        const nodes = new Map<string, GraphChannel[]>();
        for (const each of model.values()) {
          for (const id of [each.nodeId1, each.nodeId2]) {
            nodes.set(bytesToHex(id), [...(nodes.get(bytesToHex(id)) ?? []), each]);
          }
        }
        expect([...graph.nodeIds()].map(bytesToHex).sort()).toEqual([...nodes.keys()].sort());
        for (let number = 0; number < 16; number++) {
          const id = nodeId(number);
          expect(plain(graph.channelsOf(id))).toEqual(plain(nodes.get(bytesToHex(id)) ?? []));
          expect(usableInwardOf(graph, id)).toBe(countUsableInward(nodes.get(bytesToHex(id)) ?? [], id));
        }
      }),
      { numRuns: 80 },
    );
  });
});

/** What the search goes by. */
function usableInwardOf(graph: NetworkGraph, id: Uint8Array): number {
  const node = graph.nodeTable.find(id);
  if (node < 0) return 0;
  const { pool, starts, lengths } = graph.adjacency;
  let flagged = 0;
  for (let i = 0; i < (lengths[node] as number); i++)
    flagged += (pool[(starts[node] as number) + 2 * i] as number) & 1;
  expect(graph.usableInward[node]).toBe(flagged);
  return flagged;
}

function countUsableInward(channels: readonly GraphChannel[], id: Uint8Array): number {
  return channels.filter(({ nodeId1, policies }) => {
    const inward = bytesToHex(nodeId1) === bytesToHex(id) ? policies[1] : policies[0];
    return inward !== undefined && !inward.disabled;
  }).length;
}
