import { ByteWriter, compareBytes } from '@rivulet/core/bytes';
import type { BenchDirection } from './benchGraph.js';
import type { KeyedGraph } from './keyedGraph.js';

/** What LDK takes for a time at which all updates were made. */
const timestamp = 1_770_000_000;

function tlv(type: number, value: Uint8Array): Uint8Array {
  const writer = new ByteWriter(value.length + 4).u8(type);
  writeLength(writer, value.length);
  return writer.bytes(value).finish();
}

/** A BigSize below 2^32 (BOLT 1). */
function writeLength(writer: ByteWriter, length: number): void {
  if (length < 0xfd) writer.u8(length);
  else if (length < 0x10000) writer.u8(0xfd).u16(length);
  else writer.u8(0xfe).u32(length);
}

/** With its length before it. */
function prefixed(value: Uint8Array, extra = 0): Uint8Array {
  const writer = new ByteWriter(value.length + 5);
  writeLength(writer, value.length + extra);
  return writer.bytes(value).finish();
}

function record(...entries: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const writer = new ByteWriter();
  for (const [type, value] of entries) writer.bytes(tlv(type, value));
  return prefixed(writer.finish());
}

/** An Option that is there: its length, one more than it has, comes first. */
const some = (value: Uint8Array): Uint8Array => prefixed(value, 1);
const none = Uint8Array.of(0);
const u16 = (value: number): Uint8Array => new ByteWriter(2).u16(value).finish();
const u32 = (value: number): Uint8Array => new ByteWriter(4).u32(value).finish();
const u64 = (value: number): Uint8Array => new ByteWriter(8).u64(BigInt(value)).finish();

function encodeDirection(direction: BenchDirection): Uint8Array {
  return record(
    [0, u32(timestamp)],
    [2, Uint8Array.of(direction.enabled ? 1 : 0)],
    [4, u16(direction.cltvExpiryDelta)],
    [6, u64(direction.htlcMinimumMsat)],
    [8, some(u64(direction.htlcMaximumMsat))],
    [10, record([0, u32(direction.feeBaseMsat)], [2, u32(direction.feeProportionalMillionths)])],
    [12, none],
  );
}

/**
 * The graph as LDK's NetworkGraph writes itself: read in a second, where handing LDK each channel and update
 * takes minutes.
 */
export function encodeLdkGraph(graph: KeyedGraph, chainHash: Uint8Array): Uint8Array {
  const writer = new ByteWriter(300 * graph.channels.length + 200);
  writer.u8(1).u8(1).bytes(chainHash).u64(BigInt(graph.channels.length));
  const channelsOf: bigint[][] = graph.nodeIds.map(() => []);
  for (const { shortChannelId, nodes, directions, capacitySat } of graph.channels) {
    for (const node of nodes) channelsOf[node]?.push(shortChannelId);
    writer
      .u64(shortChannelId)
      .bytes(
        record(
          [0, u16(0)],
          [1, u64(0)],
          [2, graph.nodeIds[nodes[0]] as Uint8Array],
          [4, some(encodeDirection(directions[0]))],
          [6, graph.nodeIds[nodes[1]] as Uint8Array],
          [8, some(encodeDirection(directions[1]))],
          [10, some(u64(capacitySat))],
          [12, none],
        ),
      );
  }
  const nodes = graph.nodeIds
    .map((nodeId, node) => ({ nodeId, shortChannelIds: channelsOf[node] as bigint[] }))
    .filter(({ shortChannelIds }) => shortChannelIds.length > 0)
    .sort((a, b) => compareBytes(a.nodeId, b.nodeId));
  writer.u64(BigInt(nodes.length));
  for (const { nodeId, shortChannelIds } of nodes) {
    const ids = new ByteWriter(8 * shortChannelIds.length + 1);
    for (const id of shortChannelIds) ids.u64(id);
    writer.bytes(nodeId).bytes(record([4, ids.finish()]));
  }
  return writer.u8(0).finish();
}
