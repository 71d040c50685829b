import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import { bytesToHex, concatBytes, hexToBytes } from '@rivulet/core/bytes';
import {
  decodeMessage,
  decodeTlvStream,
  encodeMessage,
  encodeTlvStream,
  type Message,
  parseShortChannelId,
  WireError,
} from '@rivulet/core/wire';
import { readFixture, type VectorCase } from './vectorCase.js';

type Encoding = 'UNCOMPRESSED' | 'COMPRESSED_ZLIB';

interface EncodedArray<T> {
  readonly encoding: Encoding;
  readonly array: readonly T[];
}

interface QueryVector {
  readonly hex: string;
  readonly msg: {
    readonly type: 'QueryChannelRange' | 'ReplyChannelRange' | 'QueryShortChannelIds';
    readonly chainHash: string;
    readonly firstBlockNum?: number;
    readonly numberOfBlocks?: number;
    readonly complete?: number;
    readonly shortChannelIds?: EncodedArray<string>;
    readonly timestamps?: {
      readonly encoding: Encoding;
      readonly timestamps: readonly { readonly timestamp1: number; readonly timestamp2: number }[];
    };
    readonly checksums?: {
      readonly checksums: readonly { readonly checksum1: number; readonly checksum2: number }[];
    };
    readonly tlvStream?: { readonly records: readonly (string | EncodedArray<number>)[] };
  };
}

/** The message that the vector describes. */
function messageOf({ msg }: QueryVector): Message {
  const chainHash = hexToBytes(msg.chainHash);
  const shortChannelIds = (msg.shortChannelIds?.array ?? []).map(parseShortChannelId);
  const record = msg.tlvStream?.records[0];
  switch (msg.type) {
    case 'QueryChannelRange':
      assert.ok(record === undefined || record === 'WANT_TIMESTAMPS | WANT_CHECKSUMS');
      return {
        type: 'query_channel_range',
        chainHash,
        firstBlocknum: msg.firstBlockNum as number,
        numberOfBlocks: msg.numberOfBlocks as number,
        ...(record !== undefined && { queryOption: 3n }),
      };
    case 'QueryShortChannelIds':
      assert.ok(typeof record !== 'string');
      return {
        type: 'query_short_channel_ids',
        chainHash,
        shortChannelIds,
        ...(record !== undefined && { queryFlags: record.array.map(BigInt) }),
      };
    case 'ReplyChannelRange':
      return {
        type: 'reply_channel_range',
        chainHash,
        firstBlocknum: msg.firstBlockNum as number,
        numberOfBlocks: msg.numberOfBlocks as number,
        syncComplete: msg.complete as number,
        shortChannelIds,
        ...(msg.timestamps && {
          timestamps: msg.timestamps.timestamps.map(({ timestamp1, timestamp2 }) => ({
            timestampNodeId1: timestamp1,
            timestampNodeId2: timestamp2,
          })),
        }),
        ...(msg.checksums && {
          checksums: msg.checksums.checksums.map(({ checksum1, checksum2 }) => ({
            checksumNodeId1: checksum1,
            checksumNodeId2: checksum2,
          })),
        }),
      };
    default:
      return msg.type satisfies never;
  }
}

/** How many bytes stand before the array of ids, by the message's type number. */
const headers: Readonly<Record<number, number>> = { 261: 2 + 32, 264: 2 + 32 + 4 + 4 + 1 };

/** An array behind its encoding byte, uncompressed. */
function inflated(array: Uint8Array): Uint8Array {
  return array[0] === 1 ? concatBytes(Uint8Array.of(0), inflateSync(array.subarray(1))) : array;
}

/** The same message with every array uncompressed: what a sender of today has to send. */
function withoutZlib(encoded: Uint8Array): Uint8Array {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length);
  const header = headers[view.getUint16(0)] as number;
  const end = header + 2 + view.getUint16(header);
  const ids = inflated(encoded.subarray(header + 2, end));
  const records = decodeTlvStream(encoded.subarray(end)).map(({ type, value }) => ({
    type,
    // Type 1 is an array with an encoding byte in both messages; type 3, checksums, has none.
    value: type === 1n ? inflated(value) : value,
  }));
  const length = Uint8Array.of(ids.length >> 8, ids.length & 0xff);
  return concatBytes(encoded.subarray(0, header), length, ids, encodeTlvStream(records));
}

/** BOLT 7, extended queries: each decoded and encoded; those with zlib, which is forbidden now, refused. */
export function bolt07Cases(): VectorCase[] {
  const vectors = JSON.parse(readFixture('bolt07-extended-queries.json')) as QueryVector[];
  return vectors.flatMap((vector, at): VectorCase[] => {
    const name = `BOLT 7 extended queries ${at + 1}, ${vector.msg.type}`;
    const encoded = hexToBytes(vector.hex);
    const message = messageOf(vector);
    if (!JSON.stringify(vector.msg).includes('COMPRESSED_ZLIB')) {
      return [
        { name: `${name}: decode`, run: () => assert.deepEqual(decodeMessage(encoded), message) },
        { name: `${name}: encode`, run: () => assert.equal(bytesToHex(encodeMessage(message)), vector.hex) },
      ];
    }
    return [
      {
        name: `${name}: zlib is refused`,
        run() {
          assert.throws(
            () => decodeMessage(encoded),
            (error) =>
              error instanceof WireError && error.message.includes('array encoding 1 is not supported'),
          );
        },
      },
      {
        name: `${name}: the same without zlib, both ways`,
        run() {
          const plain = withoutZlib(encoded);
          assert.deepEqual(decodeMessage(plain), message);
          assert.equal(bytesToHex(encodeMessage(message)), bytesToHex(plain));
        },
      },
    ];
  });
}
