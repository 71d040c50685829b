import { secp256k1 } from '@rivulet/core/crypto';
import { p2wpkhScript, type Transaction, type TxOutput, txid } from '@rivulet/core/tx';
import { afterEach, expect, test } from 'vitest';
import { Pair, until } from '../pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const cheats: [string, (output: TxOutput) => TxOutput][] = [
  ['a thousandth of the value', (output) => ({ ...output, valueSat: output.valueSat / 1000n })],
  [
    'the value to a key of the opener',
    (output) => ({ ...output, script: p2wpkhScript(secp256k1.publicKey(new Uint8Array(32).fill(5))) }),
  ],
];

/** CVE-2019-12998, 12999: the id of the funding transaction is the one that was told, its output is not. */
test.each(cheats)(
  'threat 1: a channel that is funded by %s is never used, and forgotten',
  async (_, change) => {
    pair = await Pair.start();
    const { alice, bob, chain } = pair;
    const { wallet } = alice.node;
    const fund = wallet.fund.bind(wallet);
    let told: TxOutput | undefined;
    // Alice's wallet pays for another output, and her channel knows nothing of it.
    wallet.fund = (request) => {
      const [asked, ...others] = request.outputs as [TxOutput, ...TxOutput[]];
      told = asked;
      const funded = fund({ ...request, outputs: [change(asked), ...others] });
      const real = change(asked);
      const isReal = ({ valueSat, script }: TxOutput) =>
        valueSat === real.valueSat && String(script) === String(real.script);
      const tx = { ...funded.tx, outputs: funded.tx.outputs.map((one) => (isReal(one) ? asked : one)) };
      published = funded.tx;
      return { ...funded, tx };
    };
    let published: Transaction | undefined;
    const addUnconfirmed = wallet.addUnconfirmed.bind(wallet);
    wallet.addUnconfirmed = (_tx, ...more) => addUnconfirmed(published!, ...more);
    alice.backend.broadcast = async () => ({ accepted: false, code: 'insufficient_fee', message: 'a test' });
    await pair.open();
    const [channel] = bob.node.channels;
    expect(channel?.params).toMatchObject({
      fundingSat: told!.valueSat,
      fundingOutpoint: { txid: txid(published!) },
    });
    chain.broadcast(published!);
    await pair.mine(12);
    expect(chain.unspent(channel!.params.fundingOutpoint, { mempool: true })).toBeDefined();
    expect(bob.node.channels[0]).toMatchObject({
      phase: { name: 'awaiting_ready' },
      readiness: { localSent: false },
    });
    expect(bob.node.channels[0]?.readiness.fundingConfirmed).toBeUndefined();
    // Whatever Alice says of it.
    alice.node.peers.send(bob.node.nodeId, [
      {
        type: 'channel_ready',
        channelId: channel!.params.channelId,
        secondPerCommitmentPoint: secp256k1.publicKey(new Uint8Array(32).fill(6)),
      },
    ]);
    await until(() => bob.node.channels[0]?.readiness.remoteReceived === true, 'channel_ready is there');
    await pair.mine(1);
    expect(bob.node.channels[0]).toMatchObject({ phase: { name: 'awaiting_ready' } });
    await pair.mine(2016);
    expect(bob.node.channels).toEqual([]);
  },
);
