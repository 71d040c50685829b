import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signAsNode, verifyNodeSignature } from './nodeSignature.js';
import { withHighS } from './proofs.test.support.js';
import { signatureFromText, signatureToText } from './signatureBytes.js';

/** Signatures that LND's own code makes, in hex, and those of three LND nodes that Core Lightning's tests hold. */
const made = [
  [
    '0000000000000000000000000000000000000000000000000000000000000001',
    'hi',
    '1fdb6b10757ffec34c53240f903ccc46f019abb736642c30db4438c83b32ff16732f22e75f23e057b2d8fc493018dc1ea5b9ba021d64ba5827ed78750ee6a41759',
  ],
  [
    '1111111111111111111111111111111111111111111111111111111111111111',
    'is this compatible?',
    '20fbc70ebd8cfb7ffe2f1add2976e5773deabc638cfad25edf23acfa0690ccfdca5ee248dbb0f7d23c6d247591a059145d8dcbed50edf9d31c2be327e73a168447',
  ],
  [
    'e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734',
    'Lightning Signed Message: nested',
    '1f0297812c62d87eaa036ca6bd1b9b0f7fccca387f3bc58080a1036c8682dccc1f7bfb3c4a76efc3f982123a5f881e4ce1b764cfc29670af342f6eefd29781f854',
  ],
] as const;
const ofNodes = [
  [
    'is this compatible?',
    'rbgfioj114mh48d8egqx8o9qxqw4fmhe8jbeeabdioxnjk8z3t1ma1hu1fiswpakgucwwzwo6ofycffbsqusqdimugbh41n1g698hr9t',
    '02b80cabdf82638aac86948e4c06e82064f547768dcef977677b9ea931ea75bab5',
  ],
  [
    'hi',
    'rnrphcjswusbacjnmmmrynh9pqip7sy5cx695h6mfu64iac6qmcmsd8xnsyczwmpqp9shqkth3h4jmkgyqu5z47jfn1q7gpxtaqpx4xg',
    '02de60d194e1ca5947b59fe8e2efd6aadeabfb67f2e89e13ae1a799c1e08e4a43b',
  ],
  [
    'hi',
    'ry8bbsopmduhxy3dr5d9ekfeabdpimfx95kagdem7914wtca79jwamtbw4rxh69hg7n6x9ty8cqk33knbxaqftgxsfsaeprxkn1k48p3',
    '022b8ece90ee891cbcdac0c1cc6af46b73c47212d8defbce80265ac81a6b794931',
  ],
] as const;

describe('signatures of nodes', () => {
  test.each(made)('by %s of "%s" are those of LND', (key, message, signature) => {
    const text = signAsNode(message, hexToBytes(key));
    expect(text).toHaveLength(104);
    expect(bytesToHex(signatureFromText(text)!)).toBe(signature);
    expect(verifyNodeSignature(message, text)).toBe(bytesToHex(secp256k1.publicKey(hexToBytes(key))));
  });

  test.each(ofNodes)('of "%s" by LND nodes: %s', (message, signature, nodeId) => {
    expect(verifyNodeSignature(message, signature)).toBe(nodeId);
    expect(verifyNodeSignature(`${message}!`, signature)).not.toBe(nodeId);
    expect(signatureToText(signatureFromText(signature)!)).toBe(signature);
  });

  test('have one form: the one with a high s is none', () => {
    const [message, signature] = ofNodes[0];
    expect(verifyNodeSignature(message, withHighS(signature))).toBeUndefined();
    expect(withHighS(withHighS(signature))).toBe(signature);
  });

  test('that are none give no node and no exception', () => {
    const text = (first: number) => signatureToText(new Uint8Array(65).fill(first, 0, 1));
    for (const bad of [
      '',
      'y',
      'y'.repeat(103),
      'y'.repeat(104),
      'L'.repeat(104),
      text(30),
      text(31),
      text(35),
    ])
      expect(verifyNodeSignature('hi', bad)).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ maxLength: 110 }), (bad) => {
        expect(verifyNodeSignature('hi', bad)).toBeUndefined();
      }),
    );
  });
});
