// Gets something from an API that wants to be paid by keysend first.
import { hexToBytes } from '@rivulet/core/bytes';
import { openWallet } from '@rivulet/keysend/node';
import { options, random } from '../shared.js';

const {
  wallet: walletUrl = '',
  url = '',
  most = '',
} = options({
  wallet: undefined,
  url: 'http://127.0.0.1:8091/quote',
  /** In satoshi: what asks for more is not paid. */
  most: '100',
});

const first = await fetch(url);
if (first.status !== 402) {
  process.stdout.write(await first.text());
} else {
  const { pay } =
    /** @type {{ pay: { nodeId: string, amountMsat: string, records: Record<string, string>, token: string } }} */ (
      await first.json()
    );
  const amountMsat = BigInt(pay.amountMsat);
  if (amountMsat > BigInt(most) * 1000n)
    throw new Error(`it costs ${amountMsat} msat: more than --most ${most}`);
  const wallet = await openWallet(walletUrl);
  const outcome = await wallet.keysend({
    nodeId: pay.nodeId,
    amountMsat,
    records: new Map(Object.entries(pay.records).map(([type, hex]) => [BigInt(type), hexToBytes(hex)])),
    key: `pay-per-use ${pay.token}`,
    preimage: random(32),
  });
  await wallet.close();
  if (outcome.status !== 'succeeded') throw new Error(`not paid: ${outcome.message}`);
  // The server may hear of the payment a moment later than we do.
  const authorization = `Keysend ${pay.token}`;
  const second = await fetch(url, { headers: { authorization, prefer: 'wait=20' } });
  if (!second.ok) throw new Error(`paid, and still refused: ${second.status}`);
  console.error(`paid ${second.headers.get('keysend-cost')} msat and ${outcome.feeMsat} msat of fees`);
  process.stdout.write(await second.text());
}
