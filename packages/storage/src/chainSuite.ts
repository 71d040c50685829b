import { expect, test } from 'vitest';
import { BLOCKS_KEPT } from './storage.js';
import { codeOf, fill, hash, nodeId, type SuiteContext } from './suiteRows.js';

/** What every storage does with blocks, claims, settings and peers. */
export function testChain(context: SuiteContext): void {
  test('the last blocks are kept, and a reorganisation takes back the top', () => {
    expect(context.storage.getTip()).toBeUndefined();
    context.storage.transaction((tx) => {
      for (let height = 800_000; height < 800_200; height++) tx.putBlock({ height, hash: hash(height) });
    });
    context.reopen();
    expect(context.storage.getTip()).toEqual({ height: 800_199, hash: hash(800_199) });
    const blocks = context.storage.loadBlocks();
    expect(blocks.length).toBe(BLOCKS_KEPT);
    expect(blocks.at(-1)?.height).toBe(800_200 - BLOCKS_KEPT);
    expect(
      codeOf(() => context.storage.transaction((tx) => tx.putBlock({ height: 800_201, hash: hash(1) }))),
    ).toBe('wrong_use');
    expect(
      codeOf(() => context.storage.transaction((tx) => tx.putBlock({ height: 800_199, hash: hash(1) }))),
    ).toBe('wrong_use');
    context.storage.transaction((tx) => {
      tx.removeBlocksFrom(800_198);
      tx.putBlock({ height: 800_198, hash: hash(1) });
    });
    expect(context.storage.getTip()).toEqual({ height: 800_198, hash: hash(1) });
  });

  test('settings are listed by prefix, in order, and not beyond it', () => {
    context.storage.transaction((tx) => {
      for (const key of ['b', 'wallet/2', 'wallet/1', 'wallet', 'wallet0', 'wallet/ü', 'x']) {
        tx.putValue(key, fill(1, 1));
      }
      tx.putValue('wallet/1', new Uint8Array(0));
      tx.deleteValue('b');
      tx.deleteValue('never');
    });
    context.reopen();
    expect(context.storage.listValues('wallet/')).toEqual([
      { key: 'wallet/1', value: new Uint8Array(0) },
      { key: 'wallet/2', value: fill(1, 1) },
      { key: 'wallet/ü', value: fill(1, 1) },
    ]);
    expect(context.storage.listValues('').length).toBe(6);
    expect(context.storage.getValue('b')).toBeUndefined();
  });

  test("peers' addresses are put, replaced and deleted", () => {
    const peer = { nodeId: nodeId(1), host: '127.0.0.1', port: 9735, lastSeenMs: 5 };
    context.storage.transaction((tx) => {
      tx.putPeer(peer);
      tx.putPeer({ ...peer, nodeId: nodeId(2), lastSeenMs: 9 });
      tx.putPeer({ ...peer, host: '::1', lastSeenMs: 6 });
    });
    context.reopen();
    expect(context.storage.loadPeers()).toEqual([
      { ...peer, nodeId: nodeId(2), lastSeenMs: 9 },
      { ...peer, host: '::1', lastSeenMs: 6 },
    ]);
    context.storage.transaction((tx) => tx.deletePeer(nodeId(2)));
    expect(context.storage.loadPeers().length).toBe(1);
  });
}
