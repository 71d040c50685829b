import { describe, expect, test } from 'vitest';
import { restoredChannel } from '../channel/restored.js';
import type { ChannelType, Transaction } from '../tx/index.js';
import { examineSpend } from './examineSpend.js';
import { ChannelPair } from './testing/channelPair.js';

const preimage = new Uint8Array(32).fill(4);
const closingScript = Uint8Array.of(0, 20, ...new Uint8Array(20).fill(3));

function examineRestored(pair: ChannelPair, by: Transaction) {
  const { params } = pair.alice.channel;
  const channel = restoredChannel({ params, closingScript });
  return examineSpend({ channel, signer: pair.alice.signer, archived: [], by });
}

describe.each<ChannelType>(['static_remotekey', 'anchors'])('restored from a backup, %s', (channelType) => {
  const fund = () => ({ txid: new Uint8Array(32).fill(8), index: 1 });
  const pairOf = () => new ChannelPair({ channelType, fundingSat: 1_000_000n, fund });

  test('our balance is claimed of the commitment of the peer, whatever its number, and no payment is judged', () => {
    const pair = pairOf();
    for (let number = 0; number < 4; number++) {
      const by = pair.commitmentOf('bob');
      const { spend, claims, withoutOutput } = examineRestored(pair, by);
      expect(spend).toMatchObject({ kind: 'remote_commitment', latest: false });
      expect(claims.map(({ purpose }) => purpose)).toEqual(['to_remote']);
      expect(by.outputs.map(({ valueSat }) => valueSat)).toContain(claims[0]?.valueSat);
      expect(withoutOutput).toEqual([]);
      pair.add('alice', { amountMsat: 20_000_000n, preimage, cltvExpiry: 500 });
    }
  });

  test('our balance is claimed of a commitment of ours that went out before the loss', () => {
    const pair = pairOf();
    for (let number = 0; number < 3; number++) {
      const { spend, claims } = examineRestored(pair, pair.commitmentOf('alice'));
      expect(spend).toMatchObject({ kind: 'local_commitment', latest: false });
      expect(claims.map(({ purpose }) => purpose)).toEqual(['to_local']);
      pair.add('alice', { amountMsat: 20_000_000n, preimage, cltvExpiry: 500 });
    }
  });

  test('a close together is known by where it pays us', () => {
    const pair = pairOf();
    const [input] = pair.commitmentOf('bob').inputs;
    const by = (script: Uint8Array): Transaction => ({
      version: 2,
      lockTime: 0,
      inputs: [{ ...input!, sequence: 0xffff_ffff }],
      outputs: [{ valueSat: 500_000n, script }],
    });
    expect(examineRestored(pair, by(closingScript))).toMatchObject({
      spend: { kind: 'mutual_close' },
      claims: [],
    });
    expect(examineRestored(pair, by(new Uint8Array(22)))).toMatchObject({ spend: { kind: 'unknown' } });
  });
});
