// A bookmaker: bets come in as keysends, results as signed webhooks, and winners are paid at once and once.
import { createServer } from 'node:http';
import { bytesToUtf8 } from '@rivulet/core/bytes';
import { createResolver, LegLedger } from '@rivulet/keysend';
import { verifyDelivery } from '@rivulet/keysend/automation';
import { guardedFetcher } from '@rivulet/keysend/node';
import { openApp, options, random, schedule, untilStopped } from '../shared.js';
import { resultSecret } from './resultSecret.js';

/** The record of a bet: JSON with `match`, `pick` and `payTo`, a node id. */
const betRecord = 7_700_201n;
const odds = 2n;

const {
  wallet: url = '',
  data = '',
  port,
} = options({ wallet: undefined, data: '.rivulet/betting', port: '8090' });
const { store, secret, wallet, close } = await openApp({ data, wallet: url });
const signal = untilStopped();
const ledger = new LegLedger({
  store,
  wallet,
  secret,
  now: Date.now,
  schedule,
  resolver: createResolver({ fetcher: guardedFetcher(), now: Date.now }),
  owner: `bookmaker-${random(8).join('')}`,
  // There is one bookmaker to a folder: whoever was at it before is gone.
  isOwnerAlive: () => false,
});

/** @typedef {{ match: string, pick: string, payTo: string, amountMsat: string }} Bet */

/**
 * @param {string} hash of the payment that is the bet
 * @param {Bet} bet
 * @param {{ why: 'win' | 'back', amountMsat: bigint }} given
 * @returns {import('@rivulet/keysend').LegPlan}
 */
function payment(hash, { match, payTo }, { why, amountMsat }) {
  return {
    key: `${why}:${hash}`,
    group: 'bets',
    recipient: { type: 'node', address: payTo },
    amountMsat,
    records: new Map([
      [34349334n, new TextEncoder().encode(`${why === 'win' ? 'You won' : 'Too late'}: ${match}`)],
    ]),
  };
}

/**
 * @param {ReadonlyMap<bigint, Uint8Array>} records
 * @returns {Omit<Bet, 'amountMsat'> | undefined}
 */
function readBet(records) {
  try {
    const { match, pick, payTo } = JSON.parse(bytesToUtf8(records.get(betRecord) ?? new Uint8Array()) ?? '');
    const isSound = [match, pick].every((text) => typeof text === 'string' && /^[\w-]{1,40}$/.test(text));
    return isSound && /^0[23][0-9a-f]{64}$/.test(payTo) ? { match, pick, payTo } : undefined;
  } catch {
    return undefined;
  }
}

/** @param {import('@rivulet/keysend').ReceivedPayment} received */
function takeBet({ paymentHash, amountMsat, records, cursor }) {
  const read = readBet(records);
  store.transaction((tx) => {
    tx.put('betting/cursor', cursor);
    if (read === undefined || tx.get(`betting/seen/${paymentHash}`) !== undefined) return;
    const bet = { ...read, amountMsat: amountMsat.toString() };
    tx.put(`betting/seen/${paymentHash}`, bet.match);
    if (tx.get(`betting/result/${bet.match}`) === undefined) {
      tx.put(`betting/bet/${bet.match}/${paymentHash}`, JSON.stringify(bet));
    } else ledger.planIn(tx, [payment(paymentHash, bet, { why: 'back', amountMsat })]);
  });
  if (read !== undefined) console.log(JSON.stringify({ bet: read, amountMsat: amountMsat.toString() }));
}

/** Stores a result and the payments of its winners, together. @param {{ match: string, winner: string }} result */
function takeResult({ match, winner }) {
  return store.transaction((tx) => {
    const before = tx.get(`betting/result/${match}`);
    const bets = tx.list({ prefix: `betting/bet/${match}/` });
    const winners = bets.flatMap(({ key, value }) => {
      /** @type {Bet} */
      const bet = JSON.parse(value);
      const hash = key.slice(key.lastIndexOf('/') + 1);
      return bet.pick === winner
        ? [payment(hash, bet, { why: 'win', amountMsat: BigInt(bet.amountMsat) * odds })]
        : [];
    });
    if (before !== undefined)
      return { status: before === winner ? 'known' : 'other', winners: winners.length };
    tx.put(`betting/result/${match}`, winner);
    ledger.planIn(tx, winners);
    return { status: 'paid', winners: winners.length };
  });
}

function pay() {
  const onLeg = (/** @type {import('@rivulet/keysend').Leg} */ { key, state, amountMsat }) =>
    console.log(JSON.stringify({ key, state, amountMsat: amountMsat.toString() }));
  ledger.run({ signal, onLeg }).catch((error) => console.error(`not paid now: ${error.message}`));
}

async function takeBets() {
  while (!signal.aborted) {
    try {
      const after = store.get('betting/cursor');
      for await (const received of wallet.subscribe({ signal, ...(after === undefined ? {} : { after }) })) {
        takeBet(received);
        if (ledger.summary('bets').states.planned.legs > 0) pay();
      }
    } catch (error) {
      console.error(`no bets now: ${error instanceof Error ? error.message : error}`);
      await new Promise((resolve) => schedule(1_000, () => resolve(undefined)));
    }
  }
}

const server = createServer(async (request, response) => {
  const answer = (/** @type {number} */ status, /** @type {unknown} */ body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  try {
    if (request.method !== 'POST' || request.url !== '/results')
      return answer(404, { error: 'POST /results' });
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
      if (chunks.length > 100) return answer(413, { error: 'too long' });
    }
    const body = new Uint8Array(Buffer.concat(chunks));
    verifyDelivery({
      secret: resultSecret(secret),
      headers: request.headers,
      body,
      nowMs: Date.now(),
      toleranceMs: 300_000,
    });
    const { match, winner } = JSON.parse(bytesToUtf8(body) ?? '');
    if (![match, winner].every((text) => /^[\w-]{1,40}$/.test(String(text)))) {
      return answer(400, { error: 'match and winner are names' });
    }
    const taken = takeResult({ match, winner });
    answer(taken.status === 'other' ? 409 : 200, taken);
    pay();
  } catch (error) {
    answer(401, { error: error instanceof Error ? error.message : 'refused' });
  }
});

const { nodeId } = await wallet.info();
server.listen(Number(port), '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(JSON.stringify({ nodeId, results: `http://127.0.0.1:${address.port}/results` }));
});
// What a crash has left.
pay();
await takeBets();
server.close();
server.closeAllConnections();
await wallet.close();
close();
