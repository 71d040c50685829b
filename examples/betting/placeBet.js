// Bets over a wallet: a keysend with a record that says on what, and where a win goes.
import { openWallet } from '@rivulet/keysend/node';
import { options, random } from '../shared.js';

const {
  wallet: url = '',
  to = '',
  match = '',
  pick = '',
  sats = '',
} = options({
  wallet: undefined,
  to: undefined,
  match: undefined,
  pick: undefined,
  sats: '1000',
});
const wallet = await openWallet(url);
const { nodeId: payTo } = await wallet.info();
const bet = new TextEncoder().encode(JSON.stringify({ match, pick, payTo }));
const preimage = random(32);
const outcome = await wallet.keysend({
  nodeId: to,
  amountMsat: BigInt(sats) * 1000n,
  records: new Map([[7_700_201n, bet]]),
  key: `bet ${Buffer.from(preimage).toString('hex')}`,
  preimage,
});
await wallet.close();
console.log(JSON.stringify({ status: outcome.status }));
process.exitCode = outcome.status === 'succeeded' ? 0 : 1;
