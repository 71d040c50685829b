import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import type { HintHop } from '@rivulet/core/graph';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signAsNode } from '../proof/nodeSignature.js';
import type { JsonObject } from '../records/json.js';
import { hintsText, hintsToJson, readHints, signHints } from './addressHints.js';

const key = new Uint8Array(32).fill(0x11);
const otherKey = new Uint8Array(32).fill(0x22);
const nodeId = bytesToHex(secp256k1.publicKey(key));
const peer = secp256k1.publicKey(otherKey);
const hop: HintHop = {
  nodeId: peer,
  shortChannelId: (539268n << 40n) | (845n << 16n) | 1n,
  feeBaseMsat: 1000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 80,
};
const address = 'alice@example.com';
const expires = 1_800_000_000;
const vectorSignature =
  'd9jqmhpdgg3xes3dym3j3qs5i3spfjijdkanag4wep539wqk9i3ko3oq4jdfgkk7ya6ey1wpsucy9u18ihwihu3xbjr67n3wdw8rhxjz';
const nowMs = (expires - 86_400) * 1000;
const content = {
  nodeId,
  address,
  expires,
  hints: [[hop, { ...hop, htlcMinimumMsat: 1n, htlcMaximumMsat: 5000n }], [hop]],
};
const signed = () => signHints(content, (text) => signAsNode(text, key));
const readIt = (json: JsonObject, subject = { nodeId, address, nowMs }) =>
  readHints(JSON.parse(JSON.stringify(json)) as JsonObject, subject);

describe('the hints of a keysend address', () => {
  test('are signed as one line of text, whose vector is in docs/keysend-address-hints.md', async () => {
    const peerId = bytesToHex(peer);
    expect(hintsText({ ...content, address: 'Alice@EXAMPLE.com' })).toBe(
      `keysend-address-hints:1 alice@example.com ${nodeId} 1800000000 ` +
        `${peerId}/539268x845x1/1000/100/80/-/-,${peerId}/539268x845x1/1000/100/80/1/5000;` +
        `${peerId}/539268x845x1/1000/100/80/-/-`,
    );
    expect((await signed()).signature).toBe(vectorSignature);
    const document = readFileSync(
      new URL('../../../../docs/keysend-address-hints.md', import.meta.url),
      'utf8',
    );
    expect(document).toContain(`\n${hintsText(content)}\n`);
    expect(document).toContain(`\n${vectorSignature}\n`);
  });

  test('are read back where the node signed them for this address and they are not expired', async () => {
    const json = hintsToJson(await signed());
    expect(readIt(json)).toEqual({ hints: content.hints, expires });
    expect(readIt(json, { nodeId, address, nowMs: expires * 1000 })).toEqual({ problem: 'expired' });
    expect(readIt(json, { nodeId, address, nowMs: (expires - 366 * 86_400 - 1) * 1000 })).toEqual({
      problem: 'expired',
    });
    expect(readIt(json, { nodeId, address: 'bob@example.com', nowMs })).toEqual({
      problem: 'signature_invalid',
    });
    expect(readIt(json, { nodeId: bytesToHex(peer), address, nowMs })).toEqual({
      problem: 'signature_invalid',
    });
    expect(readIt({ ...json, expires: expires + 1 })).toEqual({ problem: 'signature_invalid' });
    expect(readIt({ ...json, somethingNew: 1 })).toEqual({ hints: content.hints, expires });
  });

  test('are not used when any part of them was changed', async () => {
    const json = JSON.stringify(hintsToJson(await signed()));
    const changes: readonly [string, string][] = [
      ['"feeBaseMsat":1000', '"feeBaseMsat":1001'],
      ['"feeProportionalMillionths":100', '"feeProportionalMillionths":0'],
      ['"cltvExpiryDelta":80', '"cltvExpiryDelta":81'],
      ['539268x845x1', '539268x845x2'],
      ['"htlcMinimumMsat":"1"', '"htlcMinimumMsat":"2"'],
      [',"htlcMaximumMsat":"5000"', ''],
      [bytesToHex(peer), nodeId],
    ];
    for (const [from, to] of changes) {
      const changed = json.replace(from, to);
      expect(changed).not.toBe(json);
      expect(readIt(JSON.parse(changed) as JsonObject), to).toEqual({ problem: 'signature_invalid' });
    }
  });

  test('are not used when they are not what they should be', async () => {
    const json = hintsToJson(await signed());
    const first = (json.hints as JsonObject[][])[0]?.[0] as JsonObject;
    const withHop = (changed: JsonObject) => ({ ...json, hints: [[{ ...first, ...changed }]] });
    const malformed: readonly JsonObject[] = [
      {},
      { ...json, hints: [] },
      { ...json, hints: [[]] },
      { ...json, hints: 'x' },
      { ...json, hints: Array.from({ length: 9 }, () => [first]) },
      { ...json, hints: [Array.from({ length: 5 }, () => first)] },
      { ...json, hints: [[null]] },
      { ...json, expires: '1800000000' },
      { ...json, expires: 1.5 },
      { ...json, signature: 7 },
      withHop({ nodeId: '02'.padEnd(66, '0') }),
      withHop({ nodeId: bytesToHex(peer).toUpperCase() }),
      withHop({ shortChannelId: '0539268x845x1' }),
      withHop({ shortChannelId: 5 }),
      withHop({ shortChannelId: '99999999x1x1' }),
      withHop({ feeBaseMsat: -1 }),
      withHop({ feeBaseMsat: 2 ** 32 }),
      withHop({ cltvExpiryDelta: 65536 }),
      withHop({ htlcMinimumMsat: 5 }),
      withHop({ htlcMaximumMsat: '05' }),
      withHop({ htlcMaximumMsat: '9999999999999999999' }),
    ];
    for (const bad of malformed) expect(readIt(bad), JSON.stringify(bad)).toEqual({ problem: 'malformed' });
    for (const bad of [null, [], 'x', 5])
      expect(readHints(bad, { nodeId, address, nowMs })).toEqual({ problem: 'malformed' });
    expect(readIt({ ...json, signature: 'y'.repeat(104) })).toEqual({ problem: 'signature_invalid' });
    expect(readIt({ ...json, signature: '' })).toEqual({ problem: 'signature_invalid' });
  });

  test('never make reading throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (hints, other) => {
        const json = { hints, expires: other, signature: other } as JsonObject;
        expect(readHints(json, { nodeId, address, nowMs })).toHaveProperty('problem');
        expect(
          readHints({ hints: [[{ ...(hints as object) }]], expires, signature: 'x' } as JsonObject, {
            nodeId,
            address,
            nowMs,
          }),
        ).toHaveProperty('problem');
      }),
    );
  });

  test('are not given out when they cannot be said, or another node signed them', async () => {
    const wrong = expect.objectContaining({ code: 'request_invalid' });
    for (const bad of [
      { ...content, hints: [] },
      { ...content, hints: [[]] },
      { ...content, expires: 0 },
      { ...content, nodeId: nodeId.toUpperCase() },
      { ...content, hints: [[{ ...hop, feeBaseMsat: -1 }]] },
      { ...content, hints: [[{ ...hop, nodeId: hexToBytes('02'.padEnd(66, '0')) }]] },
    ]) {
      expect(() => hintsText(bad)).toThrow(wrong);
    }
    const byOther = signHints(content, (text) => signAsNode(text, otherKey));
    await expect(byOther).rejects.toThrow(expect.objectContaining({ code: 'signature_invalid' }));
  });
});
