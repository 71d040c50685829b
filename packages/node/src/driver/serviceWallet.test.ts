import { addressToScript, embeddedBackend, scriptToAddress } from '@rivulet/chain';
import { p2wshScript, txidFromHex, txidToHex } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cancelFunding, cancellationOf } from '../wallet/index.js';
import { Pair, startNode, until } from './pair.test.support.js';
import { createService } from './service.js';

let pair: Pair;
let api: ReturnType<typeof createService>;

const serviceOf = (node: Pair['alice']['node']) =>
  createService({ node, alias: 'alice', version: '0', onStop: () => {} });

beforeEach(async () => {
  pair = await Pair.start();
  api = serviceOf(pair.alice.node);
});

afterEach(() => pair.stop());

const somebody = scriptToAddress(p2wshScript(Uint8Array.of(0x51)), 'regtest');
const inMempool = (txidHex: string) => pair.chain.mempool.get(txidHex) !== undefined;
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: { code?: string }) => error.code,
  );

describe('send', () => {
  const recipients = [{ address: somebody, amountSat: 1_000_000n }];

  test('pays, tells what it was, and is listed with its label until it is confirmed and after', async () => {
    const trial = await api.send({ recipients, dryRun: true });
    expect(trial).toMatchObject({ accepted: false, feeratePerKw: expect.any(Number) });
    expect((await api.transactions({})).transactions.filter(({ kind }) => kind === 'send')).toEqual([]);
    const sent = await api.send({ recipients, label: 'rent' });
    expect(sent).toMatchObject({ accepted: true, repeated: false, feeSat: trial.feeSat });
    expect(sent.outputs).toContainEqual({ address: somebody, valueSat: 1_000_000n, ours: false });
    expect(inMempool(sent.txidHex)).toBe(true);
    const listed = async () => (await api.transactions({})).transactions.find(({ kind }) => kind === 'send');
    expect(await listed()).toMatchObject({
      state: 'unconfirmed',
      label: 'rent',
      netSat: -(1_000_000n + sent.feeSat),
      feeSat: sent.feeSat,
    });
    await pair.mine(1);
    expect(await listed()).toMatchObject({ state: 'confirmed', confirmations: 1 });
  });

  test('answers a repeated request with the same transaction, and with what has replaced it', async () => {
    const request = { recipients, idempotencyKey: 'rent 7', feeratePerKw: 500 };
    const both = await Promise.all([api.send(request), api.send(request)]);
    expect(both.map(({ repeated }) => repeated).sort()).toEqual([false, true]);
    expect(both[0]!.txidHex).toBe(both[1]!.txidHex);
    const { txidHex } = await api.bumpTransaction({ txidHex: both[0]!.txidHex });
    expect(await api.send(request)).toMatchObject({ txidHex, repeated: true, accepted: true });
    await pair.mine(1);
    await pair.restart('alice');
    api = serviceOf(pair.alice.node);
    expect(await api.send(request)).toMatchObject({ txidHex, repeated: true, accepted: true });
    expect(
      await codeOf(api.send({ ...request, recipients: [{ address: somebody, amountSat: 7_000n }] })),
    ).toBe('idempotency_key_reused');
  });

  test('says of a payment that was taken back that it was, and does not make it again', async () => {
    const request = { recipients, idempotencyKey: 'rent 8', feeratePerKw: 500 };
    const { txidHex } = await api.send(request);
    const bumped = await api.bumpTransaction({ txidHex });
    await api.bumpTransaction({ txidHex: bumped.txidHex, cancel: true });
    expect(await codeOf(api.send(request))).toBe('payment_cancelled');
    await pair.mine(1);
    expect(await codeOf(api.send(request))).toBe('payment_cancelled');
  });

  test('refuses addresses of other networks, dust, and what is not there', async () => {
    const pay = (address: string, amountSat: bigint) =>
      codeOf(api.send({ recipients: [{ address, amountSat }] }));
    expect(await pay('bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu', 5_000n)).toBe('address_wrong_network');
    expect(await pay(`${somebody}x`, 5_000n)).toBe('address_malformed');
    expect(await pay(somebody, 10n)).toBe('dust_output');
    expect(await pay(somebody, 100_000_000_000_000n)).toBe('insufficient_funds');
  });

  test('is broadcast after a restart, where the backend was away when it was made', async () => {
    const away = { ...embeddedBackend(pair.chain), broadcast: () => Promise.reject(new Error('away')) };
    const { store } = pair.alice;
    await pair.alice.node.stop();
    pair.alice = await startNode(pair.chain, { seed: 1, store, backend: away });
    const sent = await serviceOf(pair.alice.node).send({ recipients });
    expect(sent).toMatchObject({ accepted: false });
    expect(inMempool(sent.txidHex)).toBe(false);
    await pair.restart('alice');
    serviceOf(pair.alice.node);
    await until(() => inMempool(sent.txidHex), 'it is broadcast');
  });

  test('is broadcast again at the next block, where a mempool has dropped it', async () => {
    const sent = await api.send({ recipients });
    pair.chain.mempool.clear();
    pair.chain.mine({ transactions: 'none' });
    await until(() => inMempool(sent.txidHex), 'it is broadcast');
  });

  test('of all leaves what an anchor channel may need for fees, and says so', async () => {
    await pair.open();
    await pair.mine(6);
    await pair.usable();
    const sent = await api.send({ recipients: [], allTo: somebody });
    expect(sent.keptSat).toBeGreaterThanOrEqual(10_000n);
    const left = async () => (await api.coins({})).coins.filter(({ state }) => state !== 'immature');
    expect((await left()).reduce((sum, { valueSat }) => sum + valueSat, 0n)).toBe(sent.keptSat);
    await pair.mine(1);
    const rest = await api.send({ recipients: [], allTo: somebody, includingReserve: true });
    expect(rest.keptSat).toBeUndefined();
    // But for a reward that the block has matured meanwhile.
    expect((await left()).filter(({ valueSat }) => valueSat < 25_0000_0000n)).toEqual([]);
  });
});

describe('a channel’s funding transaction', () => {
  test('is named as such; its fee is raised by a child alone, and it is not cancelled', async () => {
    const { params } = await pair.open();
    const txidHex = txidToHex(params.fundingOutpoint.txid);
    const [funding] = (await api.transactions({})).transactions;
    expect(funding).toMatchObject({ txidHex, kind: 'funding', state: 'unconfirmed' });
    expect(await codeOf(api.bumpTransaction({ txidHex, cancel: true }))).toBe('channel_waits');
    const child = await api.bumpTransaction({ txidHex, feeratePerKw: 5_000 });
    expect(child).toMatchObject({ how: 'child', accepted: true, feesUnknown: false });
    expect(inMempool(txidHex)).toBe(true);
    await pair.mine(6);
    await pair.usable();
    const kinds = (await api.transactions({})).transactions.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['child', 'funding']));
  });

  test('that never confirms can be taken back by the wallet', async () => {
    const { params } = await pair.open();
    const { txid } = params.fundingOutpoint;
    const { wallet } = pair.alice.node;
    const tx = cancelFunding(wallet, { txid, estimatePerKw: 2_000, reserveSat: 0n, nowMs: 1 });
    pair.chain.broadcast(tx);
    expect(inMempool(txidToHex(txid))).toBe(false);
    await pair.mine(6);
    expect(cancellationOf(wallet.state, txid)?.confirmations).toBe(6);
    expect(wallet.balance().confirmedSat).toBeGreaterThan(49_9990_0000n);
  });

  test('and what closes the channel are told apart, with the fee of both', async () => {
    const { params } = await pair.open();
    await pair.mine(6);
    await pair.usable();
    await api.closeChannel({ channelId: Buffer.from(params.channelId).toString('hex') });
    await until(() => pair.closing, 'the closing transaction is published');
    await pair.mine(1);
    const { transactions } = await api.transactions({});
    expect(transactions.find(({ kind }) => kind === 'close')).toMatchObject({
      feeSat: expect.any(BigInt),
      state: 'confirmed',
    });
    expect(transactions.find(({ kind }) => kind === 'funding')?.feeSat).toBeGreaterThan(0n);
  });
});

describe('coins and labels', () => {
  test('can be locked and unlocked, and are named by what is known of them', async () => {
    const [first] = (await api.coins({})).coins;
    expect(first).toMatchObject({ state: 'confirmed' });
    const { coin, address } = first!;
    await api.setLabel({ of: address, label: 'from the mine' });
    expect(await api.lockCoins({ coins: [coin], locked: true })).toEqual({ changed: 1 });
    const listed = async () => (await api.coins({})).coins.find((one) => one.coin === coin);
    expect(await listed()).toMatchObject({ state: 'locked', label: 'from the mine' });
    const { lines } = await api.exportLabels({});
    expect(lines).toContain('"spendable":false');
    expect(await api.lockCoins({ coins: [coin], locked: false })).toEqual({ changed: 1 });
    expect(await api.importLabels({ lines })).toMatchObject({ coins: 1, labels: 1 });
    expect((await listed())?.state).toBe('locked');
    const [txidHex] = coin.split(':');
    expect(await api.setLabel({ of: txidHex!, label: 'reward' })).toEqual({ type: 'tx', ref: txidHex });
    expect(await codeOf(api.setLabel({ of: 'rent', label: 'x' }))).toBe('address_malformed');
    expect(await codeOf(api.setLabel({ of: txidHex!, label: 'a\nb' }))).toBe('bad_label');
  });
});

describe('PSBT', () => {
  test('is created, signed and broadcast', async () => {
    const recipients = [{ address: somebody, amountSat: 5_000n }];
    const made = await api.createPsbt({ recipients, version: 2 });
    expect(made).toMatchObject({ complete: false });
    expect(await api.showPsbt({ psbt: made.psbt })).toMatchObject({
      txidHex: made.txidHex,
      netSat: made.netSat,
    });
    const signed = await api.signPsbt({ psbt: made.psbt });
    expect(signed.complete).toBe(true);
    expect(await api.broadcastPsbt({ psbt: signed.psbt, dryRun: true })).toMatchObject({ accepted: false });
    expect(inMempool(made.txidHex)).toBe(false);
    const sent = await api.broadcastPsbt({ psbt: signed.psbt, label: 'rent' });
    expect(sent).toMatchObject({ accepted: true, txidHex: made.txidHex });
    expect(inMempool(made.txidHex)).toBe(true);
    expect(pair.alice.node.wallet.getTransaction(txidFromHex(made.txidHex))?.netSat).toBe(made.netSat);
    expect(addressToScript(somebody, 'regtest').length).toBe(34);
    expect(await codeOf(api.showPsbt({ psbt: 'abc' }))).toBe('psbt_malformed');
  });
});
