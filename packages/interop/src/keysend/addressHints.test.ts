import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeInvoice } from '@rivulet/core/invoice';
import { createResolver, type KeysendAccount, keysendAddressAnswer, signHints } from '@rivulet/keysend';
import { guardedFetcher } from '@rivulet/keysend/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NetworkNode, TestNetwork } from './network.test.support.js';

let network: TestNetwork;
let alice: NetworkNode;
let bob: NetworkNode;
let carol: NetworkNode;
let web: Server;
const accounts = new Map<string, KeysendAccount>();

beforeAll(async () => {
  network = await TestNetwork.start();
  [alice, bob, carol] = await Promise.all([
    network.node('alice'),
    network.node('bob'),
    network.node('carol'),
  ]);
  await network.fund(alice, bob);
  const terms = { pushSat: 500_000n, announce: false };
  await network.openChannel(alice, bob, terms);
  await network.openChannel(bob, carol, terms);
  web = createServer((request, response) => {
    const name = request.url?.split('/').at(-1) ?? '';
    const { status, headers, body } = keysendAddressAnswer({ name, accounts, nowMs: Date.now() });
    response.writeHead(status, headers);
    response.end(body);
  });
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
});

afterAll(async () => {
  web?.close();
  await network?.stop();
});

test('a node without announced channels is paid by its keysend address, over the hints that it signed', async () => {
  const { nodeId } = carol;
  const address = `carol@127.0.0.1:${(web.address() as AddressInfo).port}`;
  const resolver = createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now });
  const pay = async (key: string) => {
    const destination = await resolver.resolve({ type: 'lnaddress', address });
    if (destination.type !== 'keysend') throw new Error('no keysend');
    const { records, hints } = destination;
    return alice.wallet.keysend({
      nodeId: destination.nodeId,
      amountMsat: 21_000n,
      records,
      key,
      preimage: new Uint8Array(32).fill(key.length),
      maxFeeMsat: 5_000n,
      timeoutSeconds: 30,
      ...(hints === undefined ? {} : { hints }),
    });
  };

  // What nobody can find a way to, the answer of today does not help with.
  accounts.set('carol', { nodeId });
  await expect(
    resolver.resolve({ type: 'lnaddress', address: `dave@${address.split('@')[1]}` }),
  ).rejects.toThrow(expect.objectContaining({ code: 'address_unknown' }));
  const without = createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now });
  expect(await without.resolve({ type: 'lnaddress', address })).not.toHaveProperty('hints');
  const lost = await alice.wallet.keysend({
    nodeId,
    amountMsat: 21_000n,
    records: new Map(),
    key: 'lost',
    preimage: new Uint8Array(32).fill(1),
    timeoutSeconds: 30,
  });
  expect(lost).toMatchObject({ status: 'failed', failure: 'no_route' });

  // The ways that the node itself puts into its invoices, under its own signature.
  const { hints } = decodeInvoice((await carol.client.createInvoice({ amountMsat: 21_000n })).invoice);
  const subject = { nodeId, address, expires: Math.floor(Date.now() / 1000) + 86_400 };
  const signed = await signHints({ ...subject, hints }, (text) => carol.wallet.signMessage(text));
  accounts.set('carol', { nodeId, customKey: '696969', customValue: 'wal_carol', hints: signed });
  expect(await pay('with hints')).toMatchObject({ status: 'succeeded' });
  const { payments } = await carol.client.payments({});
  expect(payments[0]).toMatchObject({ amountMsat: 21_000n });

  // Somebody else's signature is none.
  const forged = await signHints({ ...subject, nodeId: bob.nodeId, hints }, (text) =>
    bob.wallet.signMessage(text),
  );
  accounts.set('carol', { nodeId, hints: forged });
  expect(
    await createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now }).resolve({
      type: 'lnaddress',
      address,
    }),
  ).not.toHaveProperty('hints');
});
