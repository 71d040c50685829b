// An API that is paid for each request by keysend.
import { createServer } from 'node:http';
import { Paywall } from '@rivulet/keysend/node';
import { openApp, options, random, schedule, untilStopped } from '../shared.js';

const quotes = ['Less is more.', 'Measure twice, cut once.', 'Make haste slowly.'];

const {
  wallet: url = '',
  data = '',
  port,
} = options({
  wallet: undefined,
  data: '.rivulet/pay-per-use',
  port: '8091',
});
const { store, secret, wallet, close } = await openApp({ data, wallet: url });
const { nodeId } = await wallet.info();
if (nodeId === undefined) throw new Error('this wallet does not say which node it is: nobody could pay it');
const signal = untilStopped();
const paywall = new Paywall({
  store,
  secret,
  nodeId,
  mode: 'request',
  price: ({ url: path }) => (path === '/quote' ? 10_000n : 0n),
  now: Date.now,
  randomBytes: random,
  schedule,
});

const server = createServer(
  paywall.protect(({ url: path }, response) => {
    if (path !== '/quote') {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify({ quote: quotes[Date.now() % quotes.length] })}\n`);
  }),
);
server.listen(Number(port), '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(JSON.stringify({ nodeId, url: `http://127.0.0.1:${address.port}` }));
});

await paywall.follow(wallet, { signal, onProblem: (error) => console.error(error) });
server.close();
server.closeAllConnections();
await wallet.close();
close();
