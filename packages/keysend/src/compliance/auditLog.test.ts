import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditEntry } from '../ledger/auditSink.js';
import { signAsNode } from '../proof/nodeSignature.js';
import { openToolkit } from '../sqlite/openToolkit.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { makeAuditAnchor, parseAuditAnchor } from './auditAnchor.js';
import { encodeAuditLine } from './auditLine.js';
import { AuditLog } from './auditLog.js';
import { verifyAudit, verifyAuditLines } from './verifyAudit.js';

const entry = (n: number, given: Partial<AuditEntry> = {}): AuditEntry => ({
  type: 'payment_succeeded',
  atMs: 1_000 + n,
  actor: 'user',
  data: { leg: `leg-${n}`, amountMsat: `${n}`, counterparty: 'ann@host.example' },
  ...given,
});

function logOf(count: number, store: ToolkitStore = memoryStore()) {
  const log = new AuditLog({ store });
  for (let n = 1; n <= count; n++) store.transaction((tx) => log.append(tx, entry(n)));
  return { store, log, lines: [...log.lines()] };
}

describe('an audit log', () => {
  test('gives back what was appended, bound in a chain', () => {
    const { log, store } = logOf(3);
    const records = [...log.records()];
    expect(records.map(({ seq, data }) => [seq, data.leg])).toEqual([
      [1, 'leg-1'],
      [2, 'leg-2'],
      [3, 'leg-3'],
    ]);
    expect(records[0]!.previous).toBe('0'.repeat(64));
    expect(records[2]!.previous).toBe(records[1]!.hash);
    expect(log.head()).toEqual({ seq: 3, hash: records[2]!.hash });
    expect(verifyAudit(store)).toEqual({ status: 'intact', entries: 3, firstSeq: 1, head: log.head() });
  });

  test('has no entry of a transaction that was given up', () => {
    const { log, store } = logOf(1);
    expect(() =>
      store.transaction((tx) => {
        log.append(tx, entry(2));
        log.append(tx, entry(3));
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(log.head().seq).toBe(1);
    store.transaction((tx) => {
      log.append(tx, entry(2));
      log.append(tx, entry(3));
    });
    expect(verifyAudit(store)).toMatchObject({ status: 'intact', entries: 3 });
  });

  test('is read page by page, either way, from any place', () => {
    const { log, store } = logOf(1_201);
    expect(verifyAudit(store)).toMatchObject({ status: 'intact', entries: 1_201 });
    const seqs = (given: Parameters<AuditLog['records']>[0]) =>
      Array.from(log.records(given), ({ seq }) => seq);
    expect(seqs({ after: 1_198 })).toEqual([1_199, 1_200, 1_201]);
    expect(seqs({ reverse: true }).slice(0, 3)).toEqual([1_201, 1_200, 1_199]);
    expect(seqs({ reverse: true })).toHaveLength(1_201);
    expect(seqs({ reverse: true, after: 1_199 })).toEqual([1_201, 1_200]);
  });

  test('is one chain where two processes append to it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-audit-'));
    const path = join(folder, 'toolkit.sqlite');
    const [first, second] = [openToolkit({ path }), openToolkit({ path })];
    try {
      for (let n = 1; n <= 20; n++) {
        const { store } = n % 3 === 0 ? first : second;
        store.transaction((tx) => new AuditLog({ store }).append(tx, entry(n)));
      }
      expect(verifyAudit(first.store)).toMatchObject({ status: 'intact', entries: 20 });
      expect(verifyAudit(second.store)).toEqual(verifyAudit(first.store));
    } finally {
      first.close();
      second.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('takes no secret, no unknown form, and shortens what is long', () => {
    const { log, store } = logOf(0);
    const append = (one: AuditEntry) => store.transaction((tx) => log.append(tx, one));
    for (const name of [
      'preimage',
      'paymentPreimage',
      'macaroon',
      'rune',
      'nwcSecret',
      'password',
      'apiToken',
    ]) {
      expect(() => append(entry(1, { data: { [name]: 'x' } }))).toThrow(/no place in an audit log/);
    }
    expect(() => append(entry(1, { type: 'Payment Sent' }))).toThrow(/no type/);
    expect(() => append(entry(1, { actor: '' }))).toThrow(/nobody/);
    expect(() => append(entry(1, { atMs: 1.5 }))).toThrow(/no time/);
    expect(() => append(entry(1, { data: { x: Number.NaN } }))).toThrow(/no number/);
    expect(log.head().seq).toBe(0);
    append(entry(1, { data: { message: '😀'.repeat(9_999), lone: '\ud800' } }));
    expect(verifyAudit(store).status).toBe('intact');
    expect([...log.lines()][0]!.length).toBeLessThan(10_000);
  });
});

describe('verifying a log', () => {
  const { lines } = logOf(8);
  const head = { seq: 8, hash: lines[7]!.slice(-66, -2) };
  const anchors = [head];
  /** Writes a line as a forger would: with a hash that is right. */
  const forge = (line: string, change: object) => {
    const record = { ...JSON.parse(line), ...change };
    return encodeAuditLine(record, record).line;
  };

  test('an export that is whole is intact, with the anchor and without', async () => {
    expect(await verifyAuditLines(lines)).toEqual({ status: 'intact', entries: 8, firstSeq: 1, head });
    expect(await verifyAuditLines(lines, { anchors })).toMatchObject({ status: 'intact' });
    expect(await verifyAuditLines([])).toMatchObject({ status: 'intact', entries: 0 });
    expect(await verifyAuditLines([], { anchors })).toMatchObject({ reason: 'cut_off' });
  });

  test('any change of any character is found', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(7),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.string({ minLength: 1, maxLength: 1 }),
        async (at, place, letter) => {
          const line = lines[at]!;
          const index = Math.floor(place * line.length);
          const changed = line.slice(0, index) + letter + line.slice(index + 1);
          fc.pre(changed !== line);
          const verdict = await verifyAuditLines(lines.with(at, changed));
          expect(verdict).toMatchObject({ status: 'damaged', line: at + 1 });
        },
      ),
    );
  });

  test.each([
    ['an entry removed', () => lines.toSpliced(3, 1), 'order_wrong', 4],
    ['an entry twice', () => lines.toSpliced(3, 0, lines[3]!), 'order_wrong', 5],
    ['two entries swapped', () => lines.with(3, lines[4]!).with(4, lines[3]!), 'order_wrong', 4],
    [
      'an entry changed with a right hash',
      () => lines.with(3, forge(lines[3]!, { actor: 'x' })),
      'previous_wrong',
      5,
    ],
    ['an entry of another place', () => lines.with(3, forge(lines[5]!, { seq: 4 })), 'previous_wrong', 4],
    ['no JSON', () => lines.with(3, 'hello'), 'malformed', 4],
    ['a line feed in between', () => lines.toSpliced(3, 0, ''), 'malformed', 4],
    ['the end cut off', () => lines.slice(0, 6), 'cut_off', 7],
    [
      'the end changed with a right hash',
      () => lines.with(7, forge(lines[7]!, { actor: 'x' })),
      'anchor_wrong',
      8,
    ],
  ])('%s is found', async (_, make, reason, seq) => {
    expect(await verifyAuditLines(make(), { anchors })).toMatchObject({ status: 'damaged', reason, seq });
  });

  test('a log that was written anew is found by its anchor alone', async () => {
    const anew: string[] = [];
    let previous = '0'.repeat(64);
    for (const [index, line] of lines.entries()) {
      const record = { ...JSON.parse(line), previous, ...(index === 2 ? { actor: 'x' } : {}) };
      const made = encodeAuditLine(record, record);
      anew.push(made.line);
      previous = made.hash;
    }
    expect(await verifyAuditLines(anew)).toMatchObject({ status: 'intact' });
    expect(await verifyAuditLines(anew, { anchors })).toMatchObject({ reason: 'anchor_wrong' });
  });

  test('two JSON texts of the same meaning are not the same line', async () => {
    const spaced = lines[0]!.replace('"data":{', '"data": {');
    expect(await verifyAuditLines([spaced])).toMatchObject({ reason: 'hash_wrong' });
    const record = JSON.parse(lines[0]!);
    const body = JSON.stringify({
      seq: 1,
      atMs: record.atMs,
      type: 'x',
      actor: 'x',
      data: { b: 1, a: 1 },
      previous: record.previous,
    });
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(body).digest('hex');
    expect(await verifyAuditLines([`${body.slice(0, -1)},"hash":"${hash}"}`])).toMatchObject({
      reason: 'malformed',
    });
  });

  test('a part of a log says where it begins, and an anchor vouches for what it follows', async () => {
    const part = lines.slice(3);
    const third = { seq: 3, hash: lines[2]!.slice(-66, -2) };
    expect(await verifyAuditLines(part)).toMatchObject({ status: 'intact', entries: 5, firstSeq: 4 });
    expect(await verifyAuditLines(part, { anchors: [third, head] })).toMatchObject({ status: 'intact' });
    const other = { seq: 3, hash: 'ab'.repeat(32) };
    expect(await verifyAuditLines(part, { anchors: [other] })).toMatchObject({
      reason: 'previous_wrong',
      seq: 4,
    });
    const before = { seq: 1, hash: lines[0]!.slice(-66, -2) };
    expect(await verifyAuditLines(part, { anchors: [before] })).toMatchObject({ reason: 'anchor_outside' });
  });

  test("a store's own log may not be cut at either end, nor go on behind its head", () => {
    const keyOf = (seq: number) => `audit/${`${seq}`.padStart(16, '0')}`;
    const change = (body: (store: ToolkitStore) => void) => {
      const { store } = logOf(8);
      body(store);
      return verifyAudit(store);
    };
    const drop =
      (...seqs: number[]) =>
      (store: ToolkitStore) =>
        store.transaction((tx) => {
          for (const seq of seqs) tx.delete(keyOf(seq));
        });
    expect(change(drop(8))).toMatchObject({ reason: 'cut_off', seq: 8 });
    expect(change(drop(1))).toMatchObject({ reason: 'order_wrong', seq: 1 });
    expect(change(drop(1, 2, 3, 4, 5, 6, 7, 8))).toMatchObject({ reason: 'cut_off' });
    const behind = encodeAuditLine(entry(9), { seq: 9, previous: head.hash }).line;
    expect(change((store) => store.transaction((tx) => tx.put(keyOf(9), behind)))).toMatchObject({
      reason: 'order_wrong',
      seq: 9,
    });
    expect(change((store) => store.transaction((tx) => tx.delete('auditHead')))).toMatchObject({
      status: 'damaged',
    });
  });
});

describe('anchors', () => {
  const key = new Uint8Array(32).fill(5);
  const nodeId = bytesToHex(secp256k1.publicKey(key));
  const sign = async (text: string) => signAsNode(text, key);

  test('signed by the node vouch for the log up to there, and are in the log themselves', async () => {
    const { store, log } = logOf(4);
    const anchor = await makeAuditAnchor({
      store,
      audit: log,
      now: () => 7,
      actor: 'user',
      signer: { nodeId, sign },
    });
    expect(anchor).toMatchObject({ seq: 4, nodeId });
    expect(parseAuditAnchor(JSON.stringify(anchor))).toEqual(anchor);
    expect(log.head().seq).toBe(5);
    expect(verifyAudit(store, { anchors: [anchor] }).status).toBe('intact');
    for (const change of [
      { seq: 3 },
      { hash: 'ab'.repeat(32) },
      { atMs: 8 },
      { nodeId: undefined },
      { signature: undefined },
    ]) {
      expect(() => parseAuditAnchor(JSON.stringify({ ...anchor, ...change }))).toThrow(/signature/);
    }
    expect(() => parseAuditAnchor('{}')).toThrow(/no anchor/);
    expect(() => parseAuditAnchor('x')).toThrow(/no JSON/);
  });

  test('are made without a signature too, of a log that has entries', async () => {
    const { store, log } = logOf(1);
    const anchor = await makeAuditAnchor({ store, audit: log, now: () => 7, actor: 'user' });
    expect(parseAuditAnchor(JSON.stringify(anchor))).toEqual(anchor);
    const empty = logOf(0);
    const made = makeAuditAnchor({ store: empty.store, audit: empty.log, now: () => 7, actor: 'user' });
    await expect(made).rejects.toMatchObject({ code: 'not_found' });
    const other = { nodeId: `02${'ab'.repeat(32)}`, sign };
    const signed = makeAuditAnchor({ store, audit: log, now: () => 7, actor: 'user', signer: other });
    await expect(signed).rejects.toMatchObject({ code: 'signature_invalid' });
  });
});
