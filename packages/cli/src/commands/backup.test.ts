import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChannelBackup, sealBackup } from '@rivulet/core/backup';
import { deriveChannelSecrets, publicBasepoints } from '@rivulet/core/keys';
import { backupKeysOf, wordsToSeed } from '@rivulet/node/backup';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, until } from '../cli.test.support.js';

const words = `${'abandon '.repeat(11)}about`;
const otherWords = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const keys = backupKeysOf(wordsToSeed(words), 'regtest');

const theirs = publicBasepoints(deriveChannelSecrets(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)));
const terms = {
  dustLimitSat: 354n,
  maxHtlcValueInFlightMsat: 1_000_000_000n,
  channelReserveSat: 10_000n,
  htlcMinimumMsat: 1n,
  toSelfDelay: 144,
  maxAcceptedHtlcs: 483,
};

const backup: ChannelBackup = {
  network: 'regtest',
  nodeId: keys.nodeId,
  createdAtMs: Date.UTC(2026, 10, 20, 1, 2, 3),
  height: 0,
  walletNext: [2, 0, 3, 0],
  omitted: 0,
  channels: [1, 2].map((n) => ({
    channelKeyId: new Uint8Array(32).fill(n),
    remoteNodeId: theirs.fundingPubkey,
    fundingOutpoint: { txid: new Uint8Array(32).fill(n), index: 0 },
    fundingSat: 500_000n * BigInt(n),
    pushMsat: 0n,
    minimumDepth: 3,
    format: { commitment: 'anchors', scidAlias: true, zeroConf: false },
    localIsOpener: true,
    announce: false,
    local: terms,
    remote: { ...terms, ...theirs },
    fundingConfirmed: { height: 0, index: n },
    addresses: [{ host: '127.0.0.1', port: 1 }],
  })),
};

const sealed = sealBackup(backup, { key: keys.key, nonce: new Uint8Array(12).fill(7) });

let world: CliWorld;
/** Files of a person: words and backup, of a machine that is gone. */
let wordsFile: string;
let backupFile: string;
let dataDir: string;

beforeEach(() => {
  world = new CliWorld();
  wordsFile = join(world.dataDir, 'words');
  backupFile = join(world.dataDir, 'channels.backup');
  dataDir = join(world.dataDir, 'new');
  writeFileSync(wordsFile, `${words}\n`);
  writeFileSync(backupFile, sealed);
});
afterEach(() => world.close());

const restore = (...more: string[]) =>
  world.run('restore', '--words-file', wordsFile, '--backup', backupFile, '--data-dir', dataDir, ...more);

describe('rivulet backup', () => {
  test('copies the backup of the folder, and replaces nothing', async () => {
    const to = join(world.dataDir, 'copy');
    const first = await world.run('backup', to);
    expect([first.code, first.err]).toEqual([0, '']);
    expect(first.out).toContain(`${sealed.length} bytes`);
    expect(Uint8Array.from(readFileSync(to))).toEqual(sealed);
    expect(await world.run('backup', to)).toMatchObject({ code: 1, out: '' });
    const asJson = await world.run('backup', `${to}2`, '--json');
    expect(JSON.parse(asJson.out)).toEqual({ path: `${to}2`, network: 'regtest', bytes: sealed.length });
  });

  test('says so where there is none', async () => {
    const { code, err } = await world.run('backup', join(world.dataDir, 'copy'), '--data-dir', dataDir);
    expect(code).toBe(1);
    expect(err).toContain('is not there');
  });
});

describe('rivulet verify-backup', () => {
  test('shows channels, age, and that the words fit', async () => {
    const { code, out } = await world.run('verify-backup', backupFile, '--words-file', wordsFile);
    expect(code).toBe(0);
    expect(out).toContain('2 channels, 1,500,000 sat in all');
    expect(out).toContain('2026-11-20 01:02:03');
    expect(out).toContain('010101010101');
    expect(out).not.toContain('abandon');
    const { out: json } = await world.run('verify-backup', backupFile, '--words-file', wordsFile, '--json');
    expect(JSON.parse(json)).toMatchObject({
      network: 'regtest',
      channels: [{ capacitySat: '500000', confirmedHeight: 0, addresses: ['127.0.0.1:1'] }, {}],
    });
  });

  test('takes the words of the data folder where no others are given', async () => {
    writeFileSync(join(world.dataDir, 'wallet-words'), words);
    expect((await world.run('verify-backup', backupFile)).code).toBe(0);
  });

  test.each([
    { what: 'other words', text: otherWords, message: 'another node' },
    { what: 'a file that is torn', length: 300, message: 'was changed or is not complete' },
    { what: 'a file that is none', suffix: '-none', message: 'is not there' },
    { what: 'words that are none', text: 'hello', message: 'words were given' },
  ])('refuses $what', async ({ text = words, length = sealed.length, suffix = '', message }) => {
    writeFileSync(wordsFile, text);
    writeFileSync(backupFile, sealed.slice(0, length));
    const file = `${backupFile}${suffix}`;
    const { code, err, out } = await world.run('verify-backup', file, '--words-file', wordsFile);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(message);
  });
});

describe('rivulet restore', () => {
  test('makes a folder that starts, with channels that wait for their peers to close them', async () => {
    const { code, out } = await restore();
    expect(code).toBe(0);
    expect(out).toContain('2 channels');
    expect(out).toContain('rivulet up');
    expect(readFileSync(join(dataDir, 'wallet-words'), 'utf8')).toBe(`${words}\n`);
    const { runDaemon } = await import('@rivulet/node');
    const up = world.start(
      { loadRunDaemon: async () => runDaemon },
      ...['up', '--data-dir', dataDir, '--listen-enabled', 'false', '--api-port', '0', '--json'],
    );
    await until(() => up.printed.out.includes('nodeId') || up.printed.err !== '');
    expect(up.printed.err).toBe('');
    const channels = await world.run('channels', '--data-dir', dataDir, '--json');
    expect(JSON.parse(channels.out)).toMatchObject({
      channels: [{ state: 'stale', capacitySat: '500000' }, { state: 'stale' }],
    });
    expect((await world.run('channels', '--data-dir', dataDir)).out).toContain('stale');
    const forced = await world.run('close', '0101', '--force', '--data-dir', dataDir, '--json');
    expect(forced.code).not.toBe(0);
    up.interrupt();
    expect((await up.done).code).toBe(0);
  });

  test('touches no folder that has something in it, but for settings', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'rivulet.json'), '{}');
    expect((await restore('--json')).code).toBe(0);
    const before = readdirSync(dataDir);
    const { code, err } = await restore();
    expect(code).toBe(1);
    expect(err).toContain('is not empty');
    expect(readdirSync(dataDir)).toEqual(before);
  });

  test('begins to read the chain where it is told to, or earlier', async () => {
    const later = await restore('--birth-height', '700', '--json');
    expect(JSON.parse(later.out)).toMatchObject({ network: 'regtest', channels: 2, birthHeight: 0 });
  });

  test.each([
    [[], 'say what to restore'],
    [['--backup', 'a', '--copy', 'b'], 'say what to restore'],
    [['--backup', 'a'], '--words-file'],
    [['--copy', 'b', '--birth-height', '3'], '--birth-height'],
    [['--backup', 'a', '--birth-height', 'x'], '--birth-height'],
  ])('refuses %j as an order that makes no sense', async (args, message) => {
    writeFileSync(join(world.dataDir, 'a'), sealed);
    const { code, err } = await world.run('restore', ...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
