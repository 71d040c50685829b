import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { channelLogger, createLogger, type LogLevel, peerLogger } from './logger.js';

function memoryLog(level: LogLevel = 'info') {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ level, to: { write: (line) => lines.push(JSON.parse(line)) } });
  return { logger, lines };
}

test('secrets are replaced at every depth that is logged', () => {
  const { logger, lines } = memoryLog();
  logger.info({ password: 'hunter2', chain: { token: 'hunter2', rpc: { cookie: 'hunter2' } } }, 'started');
  logger.child({ seed: 'hunter2' }).warn({ preimage: new Uint8Array(32) }, 'received');
  expect(JSON.stringify(lines)).not.toContain('hunter2');
  expect(lines[0]).toMatchObject({ level: 'info', msg: 'started', password: '[redacted]' });
  expect(lines[1]).toMatchObject({ level: 'warn', preimage: '[redacted]' });
});

test('amounts and bytes become text', () => {
  const { logger, lines } = memoryLog();
  logger.info({ amountMsat: 21_000n, channelId: Uint8Array.of(0xab, 0xcd) }, 'settled');
  expect(lines[0]).toMatchObject({ amountMsat: '21000', channelId: 'abcd' });
});

test('an error keeps its code', () => {
  const { logger, lines } = memoryLog();
  logger.error({ err: Object.assign(new Error('no'), { code: 'peer_silent' }) }, 'failed');
  expect(lines[0]).toMatchObject({ err: { message: 'no', code: 'peer_silent' } });
});

test('the lines of a peer and a channel carry their short ids', () => {
  const { logger, lines } = memoryLog();
  channelLogger(peerLogger(logger, `02${'ab'.repeat(32)}`), new Uint8Array(32).fill(0x11)).info('opened');
  expect(lines[0]).toMatchObject({ peer: '02ababab', channel: '11111111' });
});

test('what is below the level is not written', () => {
  const { logger, lines } = memoryLog('warn');
  logger.info('quiet');
  expect(lines).toEqual([]);
});

test('a file is appended to, and only its owner may read it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-log-'));
  try {
    const file = join(folder, 'rivulet.log');
    createLogger({ level: 'info', to: { file } }).info('first');
    createLogger({ level: 'info', to: { file } }).info('second');
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['first', 'second']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// Linux has a device that is always full.
test.runIf(existsSync('/dev/full'))('a full disk costs lines, and not the process', () => {
  const said: string[] = [];
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  try {
    const logger = createLogger({ level: 'info', to: { file: '/dev/full' } });
    logger.info('first');
    logger.info('second');
  } finally {
    write.mockRestore();
  }
  expect(said).toEqual(['the log /dev/full cannot be written (ENOSPC): lines are lost\n']);
});
