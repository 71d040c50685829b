import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { embeddedBackend, RegtestChain } from '@rivulet/chain';
import { openBackup } from '@rivulet/core/backup';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../driver/pair.test.support.js';
import { aliceWords, BackupWorld, bobWords, newFolder } from './backup.test.support.js';
import { type FileSteps, nodeFileSteps } from './durableFile.js';
import { restoreFromBackup, verifyBackup } from './restoreFolder.js';

let world: BackupWorld | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const bytesOf = (path: string) => Uint8Array.from(readFileSync(path));

async function started(options: Parameters<BackupWorld['start']>[0] = {}): Promise<BackupWorld> {
  world = await new BackupWorld(new RegtestChain({})).start(options);
  return world;
}

/** Notes when files are replaced. */
class WatchedSteps implements FileSteps {
  writes = 0;
  failing: 'no' | 'write' | 'rename' = 'no';
  onRenamed: () => void = () => {};

  write(path: string, bytes: Uint8Array): void {
    if (this.failing === 'write') throw Object.assign(new Error('no room (a test)'), { code: 'ENOSPC' });
    nodeFileSteps.write(path, bytes);
    this.writes++;
  }

  rename(from: string, to: string): void {
    if (this.failing === 'rename') throw Object.assign(new Error('killed (a test)'), { code: 'EIO' });
    nodeFileSteps.rename(from, to);
    this.onRenamed();
  }

  syncFolder(path: string): void {
    nodeFileSteps.syncFolder(path);
  }
}

describe('the backup in files', () => {
  test('has a new channel before its funding transaction is anywhere, and before its peer hears of it', async () => {
    const files = new WatchedSteps();
    const { alice, bob, chain } = await started({ alice: { backups: { files } } });
    const path = join(alice.dataDir, 'channels.backup');
    const seen: unknown[] = [];
    files.onRenamed = () => {
      const { channels } = openBackup(bytesOf(path), alice.files.keys.key);
      const [funding] = channels.map(({ fundingOutpoint }) => fundingOutpoint);
      if (funding === undefined || seen.length > 0) return;
      seen.push(chain.unspent(funding, { mempool: true }), channels.length);
    };
    const bobs: number[] = [];
    const send = bob.node.peers.send.bind(bob.node.peers);
    bob.node.peers.send = (nodeId, messages) => {
      if (messages.some(({ type }) => type === 'funding_signed')) {
        bobs.push(
          openBackup(bytesOf(join(bob.dataDir, 'channels.backup')), bob.files.keys.key).channels.length,
        );
      }
      return send(nodeId, messages);
    };
    await world!.open();
    expect(seen).toEqual([undefined, 1]);
    expect(bobs).toEqual([1]);
  });

  test('is written anew when a channel confirms or closes, and not for payments or restarts', async () => {
    const files = new WatchedSteps();
    const options = { backups: { files } };
    const { alice, bob } = await started({ alice: options });
    await world!.open();
    const path = join(alice.dataDir, 'channels.backup');
    const [entry] = openBackup(bytesOf(path), alice.files.keys.key).channels;
    expect(entry?.fundingConfirmed?.height).toBe(102);
    expect(entry?.addresses).toEqual([bob.node.listening[0]]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { writes } = files;
    for (let i = 0; i < 3; i++) await world!.pay(alice, bob, 1_000_000n);
    await world!.mine(3);
    await alice.stop();
    await alice.run(options);
    expect(files.writes).toBe(writes);
    expect(alice.files.status()).toEqual([{ path, writtenAtMs: expect.any(Number), channels: 1 }]);
    await alice.node.closeChannel({ key: [...alice.node.turns.channels.keys()][0]!, force: true });
    await world!.mineUntil(() => alice.phase === 'closed', 'the channel is closed');
    expect(openBackup(bytesOf(path), alice.files.keys.key).channels).toEqual([]);
  });

  test('of a file that was being replaced when the process died is the one before, as a whole', async () => {
    const files = new WatchedSteps();
    const { alice } = await started({ alice: { backups: { files } } });
    await world!.open();
    const path = join(alice.dataDir, 'channels.backup');
    const before = bytesOf(path);
    files.failing = 'rename';
    const peer = await world!.connect();
    await alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n });
    expect(readdirSync(alice.dataDir)).toContain('channels.backup.new');
    expect(bytesOf(path)).toEqual(before);
    await expect(verifyBackup({ sealed: before, words: aliceWords })).resolves.toMatchObject({
      channels: [{ fundingSat: 1_000_000n }],
    });
    await alice.stop();
    await alice.run();
    expect(openBackup(bytesOf(path), alice.files.keys.key).channels).toHaveLength(2);
    expect(readdirSync(alice.dataDir)).not.toContain('channels.backup.new');
  });

  test('goes to further places; one that fails is told, stops nothing, and is tried again', async () => {
    const stick = join(newFolder(), 'stick');
    const shared = newFolder();
    const paths = [join(stick, 'alice.backup'), shared];
    const { alice } = await started({ alice: { backups: { paths } } });
    await world!.open();
    const named = `channels-${alice.node.nodeId.slice(0, 16)}.backup`;
    expect(alice.files.status()).toEqual([
      { path: join(alice.dataDir, 'channels.backup'), writtenAtMs: expect.any(Number), channels: 1 },
      { path: paths[0], writtenAtMs: undefined, channels: 0, error: 'ENOENT' },
      { path: join(shared, named), writtenAtMs: expect.any(Number), channels: 1 },
    ]);
    expect(alice.files.whyNoChannels()).toBeUndefined();
    mkdirSync(stick);
    alice.time.advance(3_600_000);
    expect(alice.files.status()[1]).toMatchObject({ path: paths[0], channels: 1 });
    expect(bytesOf(paths[0]!)).toHaveLength(bytesOf(join(shared, named)).length);
  });

  test('that cannot be written anywhere lets no channel be opened', async () => {
    const files = new WatchedSteps();
    const { alice } = await started({ alice: { backups: { files } } });
    await world!.open();
    files.failing = 'write';
    const peer = await world!.connect();
    // The one that is under way is not lost for it: its file is behind, and that is told.
    await alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n });
    expect(alice.files.status()[0]).toMatchObject({ channels: 1, error: 'ENOSPC' });
    await expect(alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n })).rejects.toMatchObject(
      {
        code: 'not_accepting',
      },
    );
    files.failing = 'no';
    alice.time.advance(10_000);
    await alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n });
    expect(alice.files.status()[0]).toMatchObject({ channels: 3 });
  });

  test('of another node, or what is none at all, is not replaced; one of ours that is torn is', async () => {
    const folder = newFolder();
    const paths = ['other', 'thesis', 'torn'].map((name) => join(folder, name));
    const { bob } = await started();
    await world!.open();
    const others = bytesOf(join(bob.dataDir, 'channels.backup'));
    writeFileSync(paths[0]!, others);
    writeFileSync(paths[1]!, 'all my life');
    const { alice } = world!;
    writeFileSync(paths[2]!, bytesOf(join(alice.dataDir, 'channels.backup')).slice(0, -20));
    await alice.stop();
    await alice.run({ backups: { paths } });
    expect(bytesOf(paths[0]!)).toEqual(others);
    expect(readFileSync(paths[1]!, 'utf8')).toBe('all my life');
    expect(openBackup(bytesOf(paths[2]!), alice.files.keys.key).channels).toHaveLength(1);
    expect(alice.files.status().map(({ error }) => error !== undefined)).toEqual([false, true, true, false]);
  });

  test('is kept when the database beside it is lost', async () => {
    const { alice } = await started();
    await world!.open();
    const path = join(alice.dataDir, 'channels.backup');
    const before = bytesOf(path);
    await alice.stop();
    for (const name of readdirSync(alice.dataDir)) {
      if (name.startsWith('rivulet.db')) rmSync(join(alice.dataDir, name));
    }
    await alice.run({ birthHeight: 0 });
    const [kept] = readdirSync(alice.dataDir).filter((name) => name.includes('.lost-'));
    expect(bytesOf(join(alice.dataDir, kept!))).toEqual(before);
    expect(openBackup(bytesOf(path), alice.files.keys.key).channels).toEqual([]);
  });

  test('keeps what it knows of blocks where a restored node cannot reach its chain at the first start', async () => {
    const { alice } = await started();
    await world!.mine(20);
    await alice.lose();
    const { alice: later } = world!;
    await later.run();
    await world!.connect();
    const path = join(later.dataDir, 'channels.backup');
    const { birthHeight } = openBackup(bytesOf(path), later.files.keys.key);
    expect(birthHeight).toBe(world!.chain.tip.height);
    const sealed = bytesOf(path);
    await later.lose();
    await restoreFromBackup({ dataDir: later.dataDir, words: aliceWords, sealed });
    const away = { ...embeddedBackend(world!.chain), getTip: () => Promise.reject(new Error('away')) };
    const backend = { ...away, getBlockHash: () => Promise.reject(new Error('away')) };
    await expect(later.run({ backend })).rejects.toThrow('away');
    await later.stop();
    const after = openBackup(bytesOf(join(later.dataDir, 'channels.backup')), later.files.keys.key);
    expect(after.birthHeight).toBe(birthHeight);
    expect(after.height).toBe(birthHeight);
    await later.run();
  });

  test('remembers where the node began, for its wallet', async () => {
    const { alice } = await started();
    await world!.open();
    const backup = alice.files.current!;
    expect(backup.birthHeight).toBe(0);
    expect(backup.walletNext.some((count) => count > 0)).toBe(true);
  });
});

describe('restoring a folder', () => {
  test('refuses what is not empty, wrong words and damaged backups, and leaves things as they were', async () => {
    const { alice } = await started();
    await world!.open();
    const sealed = bytesOf(join(alice.dataDir, 'channels.backup'));
    const restore = (change: Partial<Parameters<typeof restoreFromBackup>[0]>) =>
      restoreFromBackup({ dataDir: join(newFolder(), 'new'), words: aliceWords, sealed, ...change });
    const damaged = Uint8Array.from(sealed);
    damaged[100] = (damaged[100] as number) ^ 1;
    const dataDir = join(newFolder(), 'new');
    for (const [change, code] of [
      [{ dataDir: alice.dataDir }, 'folder_not_empty'],
      [{ words: bobWords }, 'backup_other_node'],
      [{ words: 'abandon' }, 'words_count'],
      [{ sealed: damaged }, 'backup_damaged'],
      [{ sealed: sealed.slice(0, 300) }, 'backup_damaged'],
      [{ sealed: new Uint8Array(0) }, 'backup_unrecognized'],
    ] as const) {
      await expect(restore({ dataDir, ...change })).rejects.toMatchObject({ code });
      expect(existsSync(dataDir)).toBe(false);
    }
    const file = join(newFolder(), 'file');
    writeFileSync(file, 'x');
    for (const unusable of [file, join(file, 'new')]) {
      await expect(restore({ dataDir: unusable })).rejects.toMatchObject({ code: 'folder_unusable' });
    }
    expect(await restore({ dataDir })).toMatchObject({ channels: 1, birthHeight: 0 });
    await expect(restore({ dataDir })).rejects.toMatchObject({ code: 'folder_not_empty' });
  });
});

describe('the backup that peers keep', () => {
  const stored = () => world!.bob.node.storage.getPeerBlob(world!.alice.files.keys.nodeId);
  const countOf = (type: string) => world!.alice.sent.filter((one) => one === type).length;

  test('is sent after changes, once a minute at most, and comes back at each connection', async () => {
    const { alice, bob } = await started();
    await world!.open();
    expect(countOf('peer_storage')).toBe(0);
    alice.time.advance(10_000);
    await until(() => stored() !== undefined, 'the peer has stored it');
    expect(countOf('peer_storage')).toBe(1);
    const [status] = alice.client.status();
    expect(status).toMatchObject({ connected: true, confirmed: false });
    const peer = await world!.connect();
    await alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n });
    await alice.node.openChannel({ peer, capacitySat: 300_000n, pushMsat: 0n });
    expect(countOf('peer_storage')).toBe(1);
    alice.time.advance(60_000);
    expect(countOf('peer_storage')).toBe(2);
    // The peer stores it when its own minute is over.
    await new Promise((resolve) => setImmediate(resolve));
    const before = stored()!.data;
    await until(() => {
      bob.time.advance(1_000);
      return Buffer.compare(stored()!.data, before) !== 0;
    }, 'the peer has stored the newer one');
    expect(openBackup(stored()!.data, alice.files.keys.key)).toEqual(alice.files.current);
    alice.node.peers.disconnect(bob.node.nodeId);
    await until(() => alice.node.peers.peers.length === 0, 'they are apart');
    await world!.connect();
    await until(() => alice.client.status()[0]?.confirmed === true, 'the peer has given it back');
    alice.time.advance(600_000);
    expect(countOf('peer_storage')).toBe(2);
  });

  test('is not replaced at a peer that has more than we know', async () => {
    const { alice, bob } = await started();
    await world!.open();
    alice.time.advance(10_000);
    await until(() => stored() !== undefined, 'the peer has stored it');
    const blob = stored()!.data;
    await alice.lose();
    await alice.run({ birthHeight: 0 });
    await world!.connect();
    await until(() => alice.client.status()[0]?.holdsMore === true, 'the loss is noticed');
    await until(() => bob.phase === 'failed', 'the peer has closed the channel that we do not know');
    const peer = await world!.connect();
    await alice.node.openChannel({ peer, capacitySat: 200_000n, pushMsat: 0n });
    alice.time.advance(600_000);
    await until(() => bob.node.channels.length === 2, 'there is a new channel');
    expect(countOf('peer_storage')).toBe(1);
    expect(stored()!.data).toEqual(blob);
    expect(existsSync(join(alice.dataDir, 'channels.from-peer.backup'))).toBe(true);
  });

  test('is not sent where that is not wanted', async () => {
    const { alice } = await started({ alice: { backups: { peerStorage: false } } });
    await world!.open();
    alice.time.advance(600_000);
    expect(countOf('peer_storage')).toBe(0);
    expect(alice.backups.atPeers).toBeUndefined();
  });
});
