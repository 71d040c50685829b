import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegtestChain } from '@rivulet/chain';
import { openBackup } from '@rivulet/core/backup';
import { commitmentFeeSat } from '@rivulet/core/tx';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../driver/pair.test.support.js';
import { aliceWords, BackupWorld, bobWords, newFolder } from './backup.test.support.js';
import { importBackup } from './importBackup.js';
import { restoreFromBackup, restoreFromCopy } from './restoreFolder.js';
import { isUnproven } from './unproven.js';

let world: BackupWorld | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const fileOf = (dataDir: string) => Uint8Array.from(readFileSync(join(dataDir, 'channels.backup')));

/** A channel that was paid over, and the state both agree on: Alice has 630,000 sat of it. */
async function used(commitment: 'anchors' | 'static_remotekey' = 'anchors'): Promise<BackupWorld> {
  const made = await new BackupWorld(new RegtestChain({})).start();
  world = made;
  await made.open(commitment);
  await made.pay(made.alice, made.bob, 100_000_000n);
  await made.pay(made.bob, made.alice, 30_000_000n);
  return made;
}

/** The balance that both had agreed on comes home: less what the commitment costs its opener, and the claim. */
async function expectPaidOut({ alice, bob }: BackupWorld, beforeSat: bigint): Promise<void> {
  await world!.mineUntil(() => alice.confirmedSat > beforeSat, 'the balance is claimed');
  const channelType = alice.channel!.params.format.commitment;
  const { feeratePerKw } = bob.channel!.fee;
  const feeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs: 0 });
  const balanceSat = 630_000n - feeSat - (channelType === 'anchors' ? 660n : 0n);
  const { phase } = bob.channel!;
  if (phase.name !== 'spent') throw new Error(`the channel of the peer is ${phase.name}`);
  expect(phase.by.outputs.map(({ valueSat }) => valueSat)).toContain(balanceSat);
  const claimFeeSat = balanceSat - (alice.confirmedSat - beforeSat);
  expect(claimFeeSat).toBeGreaterThan(50n);
  expect(claimFeeSat).toBeLessThan(1_000n);
}

describe.each(['anchors', 'static_remotekey'] as const)(
  'a node that has lost its folder (%s)',
  (commitment) => {
    test('is restored from words and backup, and its peer pays it out', async () => {
      const { alice, bob } = await used(commitment);
      const beforeSat = alice.confirmedSat;
      const sealed = fileOf(alice.dataDir);
      await alice.lose();
      const restored = await restoreFromBackup({ dataDir: alice.dataDir, words: aliceWords, sealed });
      expect(restored).toMatchObject({ network: 'regtest', channels: 1 });
      await alice.run();
      expect(alice.node.nodeId).toBe(restored.nodeId);
      expect(alice.confirmedSat).toBe(beforeSat);
      expect(alice.phase).toBe('stale');
      await world!.connect();
      await until(() => bob.phase === 'failed', 'the peer closes the channel');
      await expectPaidOut(world!, beforeSat);
    });
  },
);

describe('a node that has lost its folder', () => {
  test('finds what the peer closed in the meantime', async () => {
    const { alice, bob } = await used();
    const beforeSat = alice.confirmedSat;
    const sealed = fileOf(alice.dataDir);
    await alice.lose();
    const key = [...bob.node.turns.channels.keys()][0]!;
    await bob.node.closeChannel({ key, force: true });
    for (let i = 0; i < 20; i++) {
      world!.chain.mine({ blocks: 1 });
      await until(() => bob.node.blockHeight === world!.chain.tip.height, 'the peer has seen the block');
    }
    expect(bob.phase).toBe('spent');
    await restoreFromBackup({ dataDir: alice.dataDir, words: aliceWords, sealed });
    await alice.run();
    expect(alice.phase).toBe('spent');
    await expectPaidOut(world!, beforeSat);
  });

  test('gets back what the peer keeps for it, and has its channels again', async () => {
    const { alice, bob } = await used();
    const beforeSat = alice.confirmedSat;
    // Until now the peer was given the time to give something back.
    alice.time.advance(10_000);
    await until(() => alice.sent.includes('peer_storage'), 'the backup is sent');
    await until(
      () => bob.node.storage.getPeerBlob(alice.files.keys.nodeId) !== undefined,
      'the peer has stored it',
    );
    await alice.lose();
    await alice.run({ birthHeight: 0 });
    expect([alice.phase, alice.confirmedSat]).toEqual([undefined, beforeSat]);
    const { nodeId } = await world!.connect();
    await until(() => alice.client.status()[0]?.holdsMore === true, 'the loss is noticed');
    expect(alice.client.status()).toEqual([{ nodeId, connected: true, confirmed: false, holdsMore: true }]);
    const kept = readFileSync(join(alice.dataDir, 'channels.from-peer.backup'));
    const backup = openBackup(Uint8Array.from(kept), alice.files.keys.key);
    const imported = await importBackup(alice.node, { backup, keys: alice.files.keys });
    expect(imported.added).toHaveLength(1);
    expect(alice.channel?.dataLost).toBe(true);
    await until(() => bob.phase === 'failed', 'the peer closes the channel');
    await expectPaidOut(world!, beforeSat);
  });

  test('that imports a channel which is closed already collects it after a restart', async () => {
    const { alice, bob } = await used();
    const beforeSat = alice.confirmedSat;
    const sealed = fileOf(alice.dataDir);
    await alice.lose();
    const key = [...bob.node.turns.channels.keys()][0]!;
    await bob.node.closeChannel({ key, force: true });
    await until(
      () => world!.chain.unspent(bob.channel!.params.fundingOutpoint, { mempool: true }) === undefined,
      'the commitment is published',
    );
    await alice.run({ birthHeight: 0 });
    await world!.mine(3);
    const backup = openBackup(sealed, alice.files.keys.key);
    const imported = await importBackup(alice.node, { backup, keys: alice.files.keys });
    expect(imported).toEqual({ added: [key], alreadyClosed: [key] });
    expect(alice.phase).toBe('spent');
    await alice.stop();
    await alice.run();
    await expectPaidOut(world!, beforeSat);
    expect(await importBackup(alice.node, { backup, keys: alice.files.keys })).toEqual({
      added: [],
      alreadyClosed: [],
    });
  });
});

describe('a node whose database comes from a copy', () => {
  test('marks its channels, and takes the mark off when the peer has shown that the copy is the latest', async () => {
    const { alice, bob } = await used();
    const copy = alice.dataDir;
    await alice.stop();
    alice.dataDir = newFolder();
    const restored = await restoreFromCopy({ dataDir: alice.dataDir, copyDir: copy, words: aliceWords });
    expect(restored.channels).toBe(1);
    await alice.run();
    const { channelId } = alice.channel!.params;
    expect(isUnproven(alice.node.storage, channelId)).toBe(true);
    const key = [...alice.node.turns.channels.keys()][0]!;
    await expect(alice.node.closeChannel({ key, force: true })).rejects.toMatchObject({
      code: 'data_unproven',
    });
    await world!.connect();
    await until(() => alice.channel?.link === 'online' && bob.channel?.link === 'online', 'both are online');
    expect(isUnproven(alice.node.storage, channelId)).toBe(false);
    await world!.pay(alice, bob, 1_000_000n);
  });

  test('goes on from the live copy of a machine that is gone', async () => {
    const copyFolder = newFolder();
    const { alice, bob } = await used();
    await alice.stop();
    await alice.run({ copyFolder });
    await world!.connect();
    await until(() => alice.channel?.link === 'online' && bob.channel?.link === 'online', 'both are online');
    await world!.pay(alice, bob, 5_000_000n);
    // As it is while the node runs.
    const taken = newFolder();
    cpSync(copyFolder, taken, { recursive: true });
    await alice.lose();
    await restoreFromCopy({ dataDir: alice.dataDir, copyDir: taken, words: aliceWords });
    await alice.run();
    expect(isUnproven(alice.node.storage, alice.channel!.params.channelId)).toBe(true);
    await world!.connect();
    await until(() => alice.channel?.link === 'online' && bob.channel?.link === 'online', 'both are online');
    await world!.pay(bob, alice, 1_000_000n);
    expect(alice.channel?.localMsat).toBe(626_000_000n);
  });

  test('is told by the peer that the copy is old, and the peer pays it out', async () => {
    const { alice, bob } = await used();
    await alice.stop();
    const copy = newFolder();
    cpSync(alice.dataDir, copy, { recursive: true });
    await alice.run();
    await world!.connect();
    await until(() => alice.channel?.link === 'online' && bob.channel?.link === 'online', 'both are online');
    await world!.pay(bob, alice, 10_000_000n);
    await world!.pay(alice, bob, 10_000_000n);
    const beforeSat = alice.confirmedSat;
    await alice.lose();
    await restoreFromCopy({ dataDir: alice.dataDir, copyDir: copy, words: aliceWords });
    await alice.run();
    const { channelId } = alice.channel!.params;
    await world!.connect();
    await until(() => alice.phase === 'stale', 'the copy is known to be old');
    expect(isUnproven(alice.node.storage, channelId)).toBe(false);
    await until(() => bob.phase === 'failed', 'the peer closes the channel');
    await expectPaidOut(world!, beforeSat);
  });

  test('publishes nothing where a reorganisation takes back what its peer has closed it with', async () => {
    const { alice, bob } = await used();
    await alice.stop();
    const copy = newFolder();
    cpSync(alice.dataDir, copy, { recursive: true });
    await alice.run();
    await world!.connect();
    await until(() => alice.channel?.link === 'online' && bob.channel?.link === 'online', 'both are online');
    await world!.pay(bob, alice, 10_000_000n);
    await alice.lose();
    await restoreFromCopy({ dataDir: alice.dataDir, copyDir: copy, words: aliceWords });
    await alice.run();
    await bob.node.closeChannel({ key: [...bob.node.turns.channels.keys()][0]!, force: true });
    const { fundingOutpoint } = alice.channel!.params;
    const isClosing = () => world!.chain.unspent(fundingOutpoint, { mempool: true }) === undefined;
    await until(isClosing, 'the peer publishes its commitment');
    await world!.mine(1);
    expect([alice.phase, bob.phase]).toEqual(['spent', 'spent']);
    // The commitment of the peer is not in mempools any more, and nobody sends it again.
    await bob.stop();
    world!.chain.reorganise({ depth: 1, blocks: 0 });
    world!.chain.mempool.clear();
    world!.chain.mine({ blocks: 3, transactions: 'none' });
    await until(() => alice.node.blockHeight === world!.chain.tip.height, 'the new branch is followed');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(isClosing()).toBe(false);
    expect(alice.phase).toBe('stale');
    await bob.run();
  });

  test('publishes again what was failed already in the copy: of that there is no later state', async () => {
    const { alice, bob } = await used();
    const beforeSat = alice.confirmedSat;
    const key = [...alice.node.turns.channels.keys()][0]!;
    await bob.stop();
    await alice.node.closeChannel({ key, force: true });
    expect(alice.phase).toBe('failed');
    await alice.stop();
    world!.chain.mempool.clear();
    const copy = newFolder();
    cpSync(alice.dataDir, copy, { recursive: true });
    await alice.lose();
    await restoreFromCopy({ dataDir: alice.dataDir, copyDir: copy, words: aliceWords });
    await alice.run();
    expect(alice.node.unprovenChannels).toEqual([]);
    await bob.run();
    await world!.mineUntil(() => alice.phase === 'spent', 'our commitment is published');
    await world!.mineUntil(() => alice.confirmedSat > beforeSat, 'the balance is claimed');
  });

  test('refuses other words, and what is no copy', async () => {
    const { alice } = await used();
    await alice.stop();
    const dataDir = join(newFolder(), 'new');
    for (const [copyDir, words, code] of [
      [alice.dataDir, bobWords, 'words_changed'],
      [newFolder(), aliceWords, 'not_found'],
      [alice.dataDir, undefined, 'file_missing'],
    ] as const) {
      const given = { dataDir, copyDir, ...(words === undefined ? {} : { words }) };
      await expect(restoreFromCopy(given)).rejects.toMatchObject({ code });
    }
    expect(await restoreFromCopy({ dataDir, copyDir: alice.dataDir, words: aliceWords })).toMatchObject({
      network: 'regtest',
      channels: 1,
    });
  });
});
