import { openMemoryStorage } from '@rivulet/storage';
import { beforeEach, describe, expect, test } from 'vitest';
import { outpointText } from './coinStates.js';
import {
  checkLabel,
  exportLabels,
  getLabel,
  importLabels,
  labelTarget,
  listLabels,
  setLabel,
} from './labels.js';
import { lockCoins } from './locking.js';
import { createPsbt } from './psbt.js';
import { openWallet } from './wallet.js';
import { failureOf, foreign, testSeed, WalletRig } from './walletRig.test.support.js';

const txidHex = 'f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd';
/** The fragment that BIP 329 gives as its vector. */
const fragment = `{ "type": "tx", "ref": "${txidHex}", "label": "Transaction", "origin": "wpkh([d34db33f/84'/0'/0'])" }
{ "type": "addr", "ref": "bc1q34aq5drpuwy3wgl9lhup9892qp6svr8ldzyy7c", "label": "Address" }
{ "type": "pubkey", "ref": "0283409659355b6d1cc3c32decd5d561abaac86c37a353b52895a5e6c196d6f448", "label": "Public Key" }
{ "type": "input", "ref": "${txidHex}:0", "label": "Input" }
{ "type": "output", "ref": "${txidHex}:1", "label": "Output", "spendable": false }
{ "type": "xpub", "ref": "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8", "label": "Extended Public Key" }
{ "type": "tx", "ref": "f546156d9044844e02b181026a1a407abfca62e7ea1159f87bbeaa77b4286c74", "label": "Account #1 Transaction", "origin": "wpkh([d34db33f/84'/0'/1'])" }
`;

let rig: WalletRig;
beforeEach(() => {
  rig = new WalletRig();
});

describe('labels (BIP 329)', () => {
  test('of the BIP’s own example are taken in and given out again', () => {
    expect(importLabels(rig.state, fragment)).toEqual({ labels: 7, coins: 0, cut: 0, ignored: 0 });
    const lines = (text: string) =>
      text
        .trim()
        .split('\n')
        .map((line) => {
          const { type, ref, label } = JSON.parse(line) as Record<string, string>;
          return `${type} ${ref} ${label}`;
        })
        .sort();
    expect(lines(exportLabels(rig.state))).toEqual(lines(fragment));
    const other = openWallet({ seed: testSeed, network: 'regtest', storage: openMemoryStorage() });
    importLabels(other.state, exportLabels(rig.state));
    expect(listLabels(other.state.storage)).toEqual(listLabels(rig.state.storage));
  });

  test('leave what they do not name as it is, and say what was passed over or cut', () => {
    rig.storage.transaction((tx) => setLabel(tx, { type: 'tx', ref: txidHex }, 'mine'));
    const long = 'ä'.repeat(300);
    const text = [
      `{"type":"tx","ref":"${txidHex}"}`,
      `{"type":"addr","ref":"bcrt1qlong","label":"${long}"}`,
      `{"type":"spscan","ref":"x","label":"unknown type"}`,
      '{"type":"tx","ref":"","label":"nothing"}',
      '{"type":"tx","ref":"a b","label":"no ref"}',
      '{"type":"tx"',
      '7',
      '',
    ].join('\n');
    expect(importLabels(rig.state, text)).toEqual({ labels: 1, coins: 0, cut: 1, ignored: 5 });
    expect(getLabel(rig.storage, { type: 'tx', ref: txidHex })).toBe('mine');
    expect(getLabel(rig.storage, { type: 'addr', ref: 'bcrt1qlong' })).toBe('ä'.repeat(255));
  });

  test('carry locked coins to another wallet of the words, but no lock of a PSBT', () => {
    rig.fill([60_000n, 50_000n]);
    const [large] = rig.wallet.coins();
    lockCoins(rig.state, [large!.outpoint]);
    createPsbt(rig.state, {
      outputs: [{ valueSat: 9_000n, script: foreign }],
      feeratePerKw: 253,
      reserveSat: 0n,
    });
    const ref = outpointText(large!.outpoint);
    const exported = exportLabels(rig.state);
    expect(exported).toBe(`{"type":"output","ref":"${ref}","spendable":false}\n`);
    const twin = new WalletRig();
    twin.fill([60_000n, 50_000n]);
    expect(importLabels(twin.state, exported)).toMatchObject({ coins: 1, labels: 0 });
    expect(twin.wallet.coins()[0]?.state).toBe('locked');
    expect(importLabels(twin.state, exported.replace('false', 'true'))).toMatchObject({ coins: 1 });
    twin.restart();
    expect(twin.wallet.coins()[0]?.state).toBe('confirmed');
    // Neither a coin of others nor text in place of a boolean locks anything.
    expect(importLabels(twin.state, exported.replace(/"ref":"./, '"ref":"0'))).toMatchObject({ coins: 0 });
    expect(importLabels(twin.state, exported.replace('false', '"false"'))).toMatchObject({ coins: 0 });
  });

  test('are for transactions, coins and addresses of this network', () => {
    expect(labelTarget(txidHex.toUpperCase(), 'regtest')).toEqual({ type: 'tx', ref: txidHex });
    expect(labelTarget(`${txidHex}:1`, 'regtest')).toEqual({ type: 'output', ref: `${txidHex}:1` });
    const { address } = rig.wallet.newAddress();
    expect(labelTarget(address, 'regtest')).toEqual({ type: 'addr', ref: address });
    expect(labelTarget(address.toUpperCase(), 'regtest')).toEqual({ type: 'addr', ref: address });
    expect(() => labelTarget(address, 'mainnet')).toThrow(/mainnet/);
    expect(() => labelTarget('rent', 'regtest')).toThrow(/address/);
  });

  test('are one line, and an empty one is none', () => {
    expect(failureOf(() => checkLabel('two\nlines')).code).toBe('bad_label');
    expect(failureOf(() => checkLabel('x'.repeat(256))).code).toBe('bad_label');
    rig.storage.transaction((tx) => setLabel(tx, { type: 'tx', ref: txidHex }, checkLabel('x'.repeat(255))));
    rig.storage.transaction((tx) => setLabel(tx, { type: 'tx', ref: txidHex }, ''));
    expect(listLabels(rig.storage)).toEqual([]);
  });
});
