import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackup } from '@rivulet/core/backup';
import { ByteWriter, bytesToHex } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { afterEach, expect, test } from 'vitest';
import { NodeBackups } from '../../backup/index.js';
import { silentLogger } from '../../logging/index.js';
import { Pair, startNode, until } from '../pair.test.support.js';
import { channelKey } from '../turns.js';

const folder = mkdtempSync(join(tmpdir(), 'rivulet-threats-'));
let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
  rmSync(folder, { recursive: true, force: true });
});

test('threat 10: channels that nobody funds, of any number of peers, have an end, and then nothing is left', async () => {
  pair = await Pair.start();
  const { alice, chain } = pair;
  await pair.mine(2_016);
  const { store } = pair.bob;
  let backups: NodeBackups | undefined;
  const restart = async () => {
    await pair!.bob.node.stop();
    pair!.bob = await startNode(chain, {
      seed: 2,
      store,
      settings: {
        parts: (node) => {
          const seed = new Uint8Array(64).fill(2);
          backups = new NodeBackups({ node, seed, dataDir: folder, logger: silentLogger });
          return backups.parts;
        },
      },
    });
    await pair!.caughtUp();
    await until(() => alice.node.peers.peers.length === 0, 'nobody is connected');
    return pair!.bob.node;
  };
  let node = await restart();
  alice.backend.broadcast = async () => ({ accepted: false, code: 'insufficient_fee', message: 'a test' });
  const open = async () => {
    const peer = await pair!.connect();
    await alice.node.openChannel({ peer, capacitySat: 20_000n, pushMsat: 0n });
  };
  await open();
  await until(() => node.channels.length === 1, 'it is there');

  // The same from many others, each with one only, and all of them almost a fortnight ago.
  const openedAt = new ByteWriter(4).u32(chain.height - 2_010).finish();
  const [first] = node.channels;
  const firstKey = channelKey(first!.params.channelId);
  const values = store.memory.listValues('').filter(({ key }) => key.includes(firstKey));
  expect(values.length).toBeGreaterThan(0);
  await new Promise<void>((resolve, reject) =>
    node.turns.enqueue({
      run: (turn) => {
        for (let i = 0; i < 199; i++) {
          const id = sha256(Uint8Array.of(1, i));
          const params = {
            ...first!.params,
            channelId: id,
            fundingOutpoint: { txid: id, index: 0 },
            remoteNodeId: secp256k1.publicKey(sha256(Uint8Array.of(2, i))),
          };
          turn.addChannel({ ...first!, params });
          for (const { key, value } of values) turn.tx.putValue(key.replace(firstKey, bytesToHex(id)), value);
        }
        for (const { key } of turn.tx.listValues('channel-opened-at/')) turn.tx.putValue(key, openedAt);
        turn.afterCommit(resolve);
      },
      failed: reject,
    }),
  );
  node = await restart();
  const backedUp = () => {
    const sealed = Uint8Array.from(readFileSync(join(folder, 'channels.backup')));
    return openBackup(sealed, backups!.files.keys.key).channels.length;
  };
  expect([node.channels.length, backedUp()]).toEqual([200, 200]);
  await expect(open()).rejects.toThrow(/too many channels wait/);

  const keys = node.channels.map(({ params }) => channelKey(params.channelId));
  await pair.mine(5);
  expect(node.channels).toHaveLength(200);
  await pair.mine(1);
  expect(node.channels).toEqual([]);
  expect(store.memory.loadChannels()).toEqual([]);
  expect(backedUp()).toBe(0);
  const left = store.memory.listValues('').filter(({ key }) => keys.some((one) => key.includes(one)));
  expect(left).toEqual([]);
  await open();
});
