import type { ChainBlock } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';
import { openMemoryStorage } from '@rivulet/storage';
import { describe, expect, test } from 'vitest';
import type { Turn, Turns, TurnWork } from '../driver/turns.js';
import type { PeerInfo } from '../peers/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { PeerStorageServer } from './peerStorageServer.js';

const nodeId = `02${'ab'.repeat(32)}`;
const peer = { nodeId } as PeerInfo;

/** As much of a channel with a peer as matters here. */
function channel(
  change: { phase?: Channel['phase']['name']; opener?: boolean; height?: number } = {},
): Channel {
  const { phase = 'open', opener = false, height = 5 } = change;
  const remoteNodeId = hexToBytes(nodeId);
  return {
    params: { remoteNodeId, localIsOpener: opener },
    phase: { name: phase },
    readiness: height === 0 ? {} : { fundingConfirmed: { height, index: 0 } },
  } as unknown as Channel;
}

/** The server over a storage of its own; work is done at once. */
function served(channels: Channel[]) {
  const storage = openMemoryStorage();
  const scheduler = new ManualScheduler();
  const sent: Message[] = [];
  const all = new Map(channels.map((one, i) => [String(i), one]));
  let writes = 0;
  const inTurn = (run: (turn: Turn) => void) =>
    storage.transaction((tx) => run({ tx, channels: all } as unknown as Turn));
  const server = new PeerStorageServer({
    turns: {
      channels: all,
      enqueue: (work: TurnWork) => {
        writes++;
        inTurn((turn) => work.run(turn));
      },
    } as unknown as Turns,
    storage,
    send: (_, messages) => sent.push(...messages),
    scheduler,
    now: () => 77,
  });
  return {
    all,
    scheduler,
    server,
    store: (fill: number, length = 10) =>
      server.onMessage(peer, { type: 'peer_storage', blob: new Uint8Array(length).fill(fill) }),
    block: (height: number) => inTurn((turn) => server.processBlock(turn, { height } as ChainBlock)),
    given: () => {
      sent.length = 0;
      server.peerConnected(peer);
      return sent.map((message) => (message.type === 'peer_storage_retrieval' ? message.blob[0] : undefined));
    },
    stored: () => storage.getPeerBlob(hexToBytes(nodeId))?.data[0],
    writes: () => writes,
  };
}

describe('what is kept for peers', () => {
  test('is the latest, stored once a minute at most, and given back at each connection', () => {
    const bench = served([channel()]);
    expect(bench.given()).toEqual([]);
    bench.store(1);
    expect([bench.stored(), bench.given()]).toEqual([1, [1]]);
    for (let fill = 2; fill < 200; fill++) bench.store(fill);
    expect([bench.stored(), bench.given(), bench.writes()]).toEqual([1, [199], 1]);
    bench.scheduler.advance(60_000);
    expect([bench.stored(), bench.given(), bench.writes()]).toEqual([199, [199], 2]);
    bench.scheduler.advance(600_000);
    expect([bench.writes(), bench.scheduler.pending]).toEqual([2, 0]);
  });

  test('is stored at the end too', () => {
    const bench = served([channel()]);
    bench.store(1);
    bench.store(2);
    bench.server.stop();
    expect([bench.stored(), bench.scheduler.pending]).toEqual([2, 0]);
  });

  test.each([
    ['of nobody without a channel', []],
    ['of nobody whose channel is closed', [channel({ phase: 'closed' })]],
    ['of nobody who has funded nothing', [channel({ height: 0 })]],
  ])('is taken %s', (_, channels) => {
    const bench = served(channels);
    bench.store(1);
    expect([bench.stored(), bench.writes()]).toEqual([undefined, 0]);
  });

  test('is taken of a peer with a channel that we have funded, and has 65,531 bytes at most', () => {
    const bench = served([channel({ opener: true, height: 0 })]);
    bench.store(1, 65_532);
    expect(bench.stored()).toBeUndefined();
    bench.store(2, 65_531);
    expect(bench.stored()).toBe(2);
  });

  test('is given up 2016 blocks after the last channel was closed, and not where there is another', () => {
    const bench = served([channel()]);
    bench.store(1);
    bench.all.set('0', channel({ phase: 'closed' }));
    bench.block(144 * 10);
    bench.block(144 * 23);
    expect(bench.stored()).toBe(1);
    bench.all.set('1', channel());
    bench.block(144 * 24);
    expect(bench.stored()).toBe(1);
    bench.all.set('1', channel({ phase: 'closed' }));
    bench.block(144 * 25);
    bench.block(144 * 38);
    expect([bench.stored(), bench.given()]).toEqual([1, [1]]);
    bench.block(144 * 39);
    expect([bench.stored(), bench.given()]).toEqual([undefined, []]);
  });
});
