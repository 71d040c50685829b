import { randomBytes as nodeRandomBytes } from 'node:crypto';
import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeysendRequest } from '../wallet.js';
import { ManualSchedule } from '../walletWorld.test.support.js';
import { nostrPublicKey } from './nip44.js';
import { type NostrEvent, signEvent } from './nostrEvent.js';
import { nwcCipher } from './nwcProtocol.js';
import { formatNwcUri } from './nwcUri.js';
import { nwcWallet } from './nwcWallet.js';
import { testWebSocket } from './nwcWorld.test.support.js';
import { TestRelay } from './relay.test.support.js';

const randomBytes = (length: number) => new Uint8Array(nodeRandomBytes(length));
const tick = () => new Promise((resolve) => setImmediate(resolve));
const seconds = () => Math.floor(Date.now() / 1000);

const walletSecret = randomBytes(32);
const secret = randomBytes(32);
const stranger = randomBytes(32);
const walletPubkey = nostrPublicKey(walletSecret);
const cipher = nwcCipher(walletSecret, nostrPublicKey(secret), randomBytes);

function infoEvent(
  fields: Partial<{ created: number; methods: string; by: Uint8Array; encryption: string }> = {},
) {
  const { created = seconds(), methods = 'pay_keysend', by = walletSecret, encryption = 'nip44_v2' } = fields;
  return signEvent(
    { kind: 13_194, created_at: created, tags: [['encryption', encryption]], content: methods },
    by,
    randomBytes(32),
  );
}

/** What the wallet answers. */
function answerTo(
  request: NostrEvent,
  fields: Partial<{ by: Uint8Array; e: string; method: string; preimage: string; content: string }> = {},
): NostrEvent {
  const { by = walletSecret, e = request.id, method = 'pay_keysend', preimage = 'ab'.repeat(32) } = fields;
  const text = JSON.stringify({ result_type: method, error: null, result: { preimage, fees_paid: 5 } });
  return signEvent(
    {
      kind: 23_195,
      created_at: seconds(),
      tags: [
        ['p', nostrPublicKey(secret)],
        ['e', e],
      ],
      content: fields.content ?? cipher.encrypt(text, 'nip44_v2'),
    },
    by,
    randomBytes(32),
  );
}

describe('a wallet over relays that are not to be trusted', () => {
  let relay: TestRelay;
  let timers: ManualSchedule;
  let shiftMs: number;
  const wallets: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    relay = await TestRelay.start();
    relay.stored.set('info', infoEvent());
    timers = new ManualSchedule(2_000);
    shiftMs = 0;
  });
  afterEach(async () => {
    for (const wallet of wallets.splice(0)) await wallet.close();
    await relay.stop();
  });

  function open(relays: readonly string[] = [relay.url]) {
    const uri = formatNwcUri({ walletPubkey, relays, secret });
    const now = () => Date.now() + shiftMs;
    const wallet = nwcWallet({ uri, WebSocket: testWebSocket, now, schedule: timers.schedule, randomBytes });
    wallets.push(wallet);
    return wallet;
  }

  function keysend(fields: Partial<KeysendRequest> = {}): KeysendRequest {
    return {
      nodeId: `03${'cd'.repeat(32)}`,
      amountMsat: 1_000n,
      records: new Map(),
      key: 'boost/1',
      preimage: randomBytes(32),
      ...fields,
    };
  }

  const requests = (from = relay) => from.published.filter(({ kind }) => kind === 23_194);
  async function requested(count = 1, from = relay): Promise<NostrEvent> {
    while (requests(from).length < count) await tick();
    return requests(from)[count - 1] as NostrEvent;
  }
  /** Gives an event to whoever waits for answers, whatever they asked for. */
  function give(event: unknown): void {
    for (const { socket, id } of relay.subscriptionsTo(23_195))
      socket.send(JSON.stringify(['EVENT', id, event]));
  }

  test('takes no answer but that of the wallet, to this request', async () => {
    const paying = open().keysend(keysend());
    const request = await requested();
    const good = answerTo(request, { preimage: '22'.repeat(32) });
    const other = answerTo(request, { e: '00'.repeat(32) });
    give(answerTo(request, { by: stranger }));
    give(other);
    give({ ...other, tags: good.tags });
    give({ ...good, content: other.content });
    give({ ...good, sig: other.sig });
    give({ ...good, id: other.id });
    give(answerTo(request, { content: 'garbage' }));
    give(answerTo(request, { method: 'get_balance' }));
    give({ ...good, kind: 1 });
    give(null);
    give([]);
    await tick();
    give(good);
    expect(await paying).toMatchObject({ status: 'succeeded', preimage: '22'.repeat(32), feeMsat: 5n });
  });

  test('tells of a success under another preimage which payment it was', async () => {
    const request = keysend();
    const paying = open().keysend(request);
    give(answerTo(await requested(), { preimage: '33'.repeat(32) }));
    const outcome = await paying;
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect((outcome as { paymentHash: string }).paymentHash).not.toBe(bytesToHex(sha256(request.preimage)));
  });

  test('says the same request again, with the same id, when the connection is lost before it is taken', async () => {
    let drops = 2;
    relay.faults.onPublish = ({ kind }) => (kind === 23_194 && drops-- > 0 ? 'drop' : undefined);
    const paying = open().keysend(keysend());
    const third = await requested(3);
    expect(new Set(requests().map(({ id }) => id)).size).toBe(1);
    while (relay.subscriptionsTo(23_195).length === 0) await tick();
    give(answerTo(third));
    expect(await paying).toMatchObject({ status: 'succeeded' });
  });

  test('does not say again what was taken, and still hears the answer on the next connection', async () => {
    relay.keepEphemeral = true;
    const paying = open().keysend(keysend());
    const request = await requested();
    while (!relay.stored.has(request.id)) await tick();
    await tick();
    const answer = answerTo(request);
    relay.stored.set(answer.id, answer);
    relay.dropConnections();
    expect(await paying).toMatchObject({ status: 'succeeded' });
    expect(requests()).toHaveLength(1);
  });

  test('does not believe a relay that says it refused the request', async () => {
    relay.faults.onPublish = ({ kind }) => (kind === 23_194 ? 'refuse' : undefined);
    expect(await open().keysend(keysend())).toMatchObject({
      status: 'unknown',
      message: expect.stringMatching(/blocked/),
    });
  });

  test('leaves a relay that sends giants, rubbish or far too much, and comes back', async () => {
    const attacks = [
      () => relay.sendToAll(`["NOTICE","${'x'.repeat(1_100_000)}"]`),
      () => {
        for (let frame = 0; frame < 60; frame++) relay.sendToAll('not json');
      },
      () => {
        for (let frame = 0; frame < 60; frame++)
          relay.sendToAll(JSON.stringify(['EVENT', 'r1', infoEvent({ by: stranger })]));
      },
      () => {
        for (const { socket, id } of relay.subscriptionsTo(23_195)) {
          for (let frame = 0; frame < 600; frame++) socket.send(JSON.stringify(['EOSE', id]));
        }
      },
    ];
    const paying = open().keysend(keysend({ timeoutSeconds: 3_600 }));
    const request = await requested();
    for (const attack of attacks) {
      const [before] = relay.connections;
      attack();
      while (relay.connections.includes(before as never)) await tick();
      // After far too much, nothing is taken of it for a while.
      shiftMs += 20_000;
      timers.elapse(60_000);
      while (relay.subscriptionsTo(23_195).length === 0) await tick();
    }
    give(answerTo(request));
    expect(await paying).toMatchObject({ status: 'succeeded' });
  });

  test('works as long as one relay does, and says each request once to each', async () => {
    const second = await TestRelay.start();
    second.stored.set('info', infoEvent());
    const nowhere = 'ws://127.0.0.1:9/';
    const paying = open([nowhere, relay.url, second.url]).keysend(keysend());
    const [first, copy] = [await requested(), await requested(1, second)];
    expect(copy.id).toBe(first.id);
    const answer = answerTo(first);
    give(answer);
    second.broadcast(answer);
    expect(await paying).toMatchObject({ status: 'succeeded' });
    expect([requests().length, requests(second).length]).toEqual([1, 1]);
    await second.stop();
  });

  test('says that nobody is there where no relay is, or none knows the wallet', async () => {
    expect(await open(['ws://127.0.0.1:9/']).keysend(keysend())).toMatchObject({
      status: 'failed',
      failure: 'unreachable',
    });
    relay.stored.clear();
    relay.stored.set('info', infoEvent({ by: stranger }));
    expect(await open().keysend(keysend())).toMatchObject({ status: 'failed', failure: 'unreachable' });
    expect(requests()).toHaveLength(0);
  });

  test('takes the newest that the wallet says of itself', async () => {
    const second = await TestRelay.start();
    relay.stored.set('info', infoEvent({ created: seconds() - 5_000, methods: '', encryption: 'nip04' }));
    second.stored.set('info', infoEvent());
    expect(await open([relay.url, second.url]).capabilities()).toMatchObject({
      keysend: true,
      receives: 'none',
    });
    await second.stop();
  });

  test.each(['INSUFFICIENT_BALANCE', 'QUOTA_EXCEEDED', 'RATE_LIMITED'])(
    'does not believe what may be said of a second copy while the first is paid: %s',
    async (code) => {
      const second = await TestRelay.start();
      const paying = open([relay.url, second.url]).keysend(keysend());
      const request = await requested();
      await requested(1, second);
      const text = JSON.stringify({ result_type: 'pay_keysend', error: { code, message: 'no more' } });
      give(answerTo(request, { content: cipher.encrypt(text, 'nip44_v2') }));
      expect(await paying).toMatchObject({ status: 'unknown' });
      await second.stop();
    },
  );

  test('does not call a payment never sent whose request waits for others, or was sent late', async () => {
    relay.stored.set('info', infoEvent({ methods: 'pay_keysend lookup_invoice' }));
    const wallet = open();
    const before = Array.from({ length: 8 }, () => wallet.keysend(keysend({ timeoutSeconds: 3_600 })));
    await requested(8);
    const late = keysend({ timeoutSeconds: 60 });
    const paying = wallet.keysend(late);
    await tick();
    // They took so long that it would have expired, if it had been sent at once.
    shiftMs += 300_000;
    const [first] = requests() as [NostrEvent];
    give(answerTo(first));
    await requested(9);
    const query = {
      key: late.key,
      amountMsat: 1n,
      paymentHash: bytesToHex(sha256(late.preimage)),
      sinceMs: 0,
    };
    give(answerTo(requests()[1] as NostrEvent));
    const looking = wallet.lookup(query);
    const asked = await requested(10);
    const text = JSON.stringify({ result_type: 'lookup_invoice', error: { code: 'NOT_FOUND', message: '' } });
    give(answerTo(asked, { content: cipher.encrypt(text, 'nip44_v2') }));
    expect(await looking).toMatchObject({ status: 'unknown' });
    await wallet.close();
    expect((await paying).status).toBe('unknown');
    await Promise.all(before);
  });

  test('says what the codes of NIP-47 mean', async () => {
    const wallet = open();
    const codes: [string, object][] = [
      ['RATE_LIMITED', { status: 'failed', failure: 'rate_limited', retryable: true }],
      ['NOT_IMPLEMENTED', { status: 'failed', failure: 'wallet_cannot', retryable: false }],
      ['INSUFFICIENT_BALANCE', { status: 'failed', failure: 'insufficient_balance' }],
      ['QUOTA_EXCEEDED', { status: 'failed', failure: 'quota_exceeded' }],
      ['RESTRICTED', { status: 'failed', failure: 'unauthorized' }],
      ['UNAUTHORIZED', { status: 'failed', failure: 'unauthorized' }],
      ['UNSUPPORTED_ENCRYPTION', { status: 'failed', failure: 'wallet_cannot' }],
      // Of a wallet that cannot be asked what became of it, these leave it open: NIP-47 says the first of time-outs, too.
      ['PAYMENT_FAILED', { status: 'unknown' }],
      ['INTERNAL', { status: 'unknown' }],
      ['OTHER', { status: 'unknown' }],
      ['SOMETHING_NEW', { status: 'unknown' }],
      ['__proto__', { status: 'unknown' }],
    ];
    for (const [index, [code, outcome]] of codes.entries()) {
      const paying = wallet.keysend(keysend());
      const request = await requested(index + 1);
      const text = JSON.stringify({ result_type: 'pay_keysend', error: { code, message: `said ${code}` } });
      give(answerTo(request, { content: cipher.encrypt(text, 'nip44_v2') }));
      expect(await paying).toMatchObject({ ...outcome, message: expect.stringContaining(`said ${code}`) });
    }
  });
});
