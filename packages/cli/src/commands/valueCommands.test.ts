import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { senderProofType, signAsNode } from '@rivulet/keysend/proof';
import type { Payment } from '@rivulet/sdk';
import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, info } from '../cli.test.support.js';
import { formatPosition, parsePosition } from './valueInput.js';

let world: CliWorld;
const ownKey = new Uint8Array(32).fill(9);
const ownId = bytesToHex(secp256k1.publicKey(ownKey));
const [host, guest, app, artist] = [1, 2, 3, 4].map((n) => `02${n.toString(16).padStart(64, '0')}`) as [
  string,
  string,
  string,
  string,
];
const row = (name: string, address: string, split: number, more = '') =>
  `<podcast:valueRecipient name="${name}" type="node" address="${address}" split="${split}" ${more}/>`;
const rss = (inner: string) =>
  `<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel>${inner}</channel></rss>`;

function writeFeeds(musicName = 'music.xml'): string {
  const path = join(world.dataDir, 'feeds', 'show.xml');
  mkdirSync(join(world.dataDir, 'feeds'), { recursive: true });
  writeFileSync(
    path,
    rss(`<title>Show</title><podcast:guid>show-guid</podcast:guid>
<item><title>One\u0007</title><guid>one</guid><podcast:value type="lightning" method="keysend" suggested="0.00000060000">
${row('host', host, 60)}${row('guest', guest, 40)}${row('app', app, 1, 'fee="true"')}
<podcast:valueTimeSplit startTime="60" duration="60" remotePercentage="50">
<podcast:remoteItem feedGuid="music-guid" feedUrl="${musicName}" itemGuid="song"/></podcast:valueTimeSplit>
</podcast:value></item>`),
  );
  writeFileSync(
    join(world.dataDir, 'feeds', 'music.xml'),
    rss(`<title>Music</title><podcast:guid>music-guid</podcast:guid><item><title>Song</title><guid>song</guid>
<podcast:value type="lightning" method="keysend">${row('artist', artist, 1)}</podcast:value></item>`),
  );
  return path;
}

interface Sent {
  readonly nodeId: string;
  readonly amountMsat: bigint;
  readonly preimage: string;
  readonly records: Map<bigint, Uint8Array>;
}

/** A daemon that pays, or does what the test says. */
async function serve(pay: (sent: Sent) => Partial<Payment> | Error = () => ({})): Promise<void> {
  await world.serve({
    info: async () => ({ ...info, nodeId: ownId }),
    keysend: async (request: Sent) => {
      const answer = pay(request);
      if (answer instanceof Error) throw answer;
      const { nodeId, amountMsat, records } = request;
      return {
        sequence: 1,
        direction: 'outgoing',
        status: 'succeeded',
        paymentHash: 'cd'.repeat(32),
        preimage: '11'.repeat(32),
        nodeId,
        amountMsat,
        feeMsat: 10n,
        createdAtMs: 1,
        records,
        ...answer,
      };
    },
    signMessage: async ({ message }: { message: string }) => ({
      nodeId: ownId,
      signature: signAsNode(message, ownKey),
    }),
    payment: async () => {
      throw new ServiceError('unknown_payment', 'none');
    },
  });
}

function paidTo(): Record<string, bigint> {
  const paid: Record<string, bigint> = {};
  for (const { name, request } of world.calls) {
    if (name !== 'keysend') continue;
    const { nodeId, amountMsat } = request as Sent;
    paid[nodeId] = (paid[nodeId] ?? 0n) + amountMsat;
  }
  return paid;
}

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

test('positions are read as people type them', () => {
  expect(parsePosition('754', 'x')).toBe(754);
  expect(parsePosition('12:34', 'x')).toBe(754);
  expect(parsePosition('1:02:03.5', 'x')).toBe(3_723.5);
  for (const text of ['', '-1', '1:2:3:4', 'abc', '1.2345', '1:60', '99:99', '1:60:00']) {
    expect(() => parsePosition(text, '--position')).toThrow(/--position is a position/);
  }
  expect(formatPosition(3_723.9)).toBe('1:02:03');
});

describe('split', () => {
  test('shows what each would get, with the fees first, and pays nobody', async () => {
    const { code, out } = await world.run('split', writeFeeds(), 'one', '1000', '--position', '10');
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'Show: One\ufffd at 0:00:10',
        'RECIPIENT                 GETS   SHARE  WHY',
        'host (020000000000…)   594 sat  59.4 %',
        'guest (020000000000…)  396 sat  39.6 %',
        'app (020000000000…)     10 sat     1 %  fee\n',
      ].join('\n'),
    );
    expect(world.calls).toEqual([]);
  });

  test('follows a time split into the feed beside it', async () => {
    const { out } = await world.run('split', writeFeeds(), 'one', '1000', '--position', '1:30', '--json');
    const { payments, problems } = JSON.parse(out);
    expect(problems).toEqual([]);
    const amounts = payments.map((payment: { recipient: { name: string }; amountMsat: string }) => [
      payment.recipient.name,
      payment.amountMsat,
    ]);
    expect(Object.fromEntries(amounts)).toEqual({
      host: '297000',
      guest: '198000',
      artist: '495000',
      app: '10000',
    });
  });

  test('reads nothing for a feed that is not in its folder', async () => {
    const path = writeFeeds('../outside.xml');
    writeFileSync(join(world.dataDir, 'outside.xml'), 'secret');
    const { err } = await world.run('split', path, 'one', '1000', '--position', '1:30');
    expect(err).toMatch(/not in the folder of the feed/);
    symlinkSync(join(world.dataDir, 'outside.xml'), join(world.dataDir, 'feeds', 'link.xml'));
    writeFeeds('link.xml');
    const linked = await world.run('split', path, 'one', '1000', '--position', '1:30');
    expect(linked.err).toMatch(/not in the folder of the feed/);
    expect(linked.err).not.toContain('secret');
  });

  test('says what is wrong with the command', async () => {
    expect((await world.run('split', 'nowhere.xml', 'one', '5')).code).toBe(2);
    const folder = await world.run('split', world.dataDir, 'one', '5');
    expect(folder).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error: .*EISDIR.*give a file.*\n$/),
    });
    const none = await world.run('split', writeFeeds(), 'two', '5');
    expect(none).toMatchObject({ code: 1, err: expect.stringMatching(/None of the 1 items/) });
  });
});

describe('boost', () => {
  const id = '6f1c1f3e-2a0b-4c5d-8e9f-000000000001';

  test('pays everybody with the message, and pays nobody again', async () => {
    await serve();
    const args = ['boost', writeFeeds(), 'one', '1000', '--message', 'hi', '--name', 'Ada', '--id', id];
    const { code, out } = await world.run(...args);
    expect(code).toBe(0);
    expect(out).toContain('1,000 sat have arrived, and cost 0.03 sat');
    expect(paidTo()).toEqual({ [host]: 594_000n, [guest]: 396_000n, [app]: 10_000n });
    const first = world.calls.find(({ name }) => name === 'keysend')?.request as Sent;
    const gram = JSON.parse(new TextDecoder().decode(first.records.get(7_629_169n)));
    expect(gram).toMatchObject({
      action: 'boost',
      message: 'hi',
      sender_name: 'Ada',
      app_name: 'Rivulet',
      boost_uuid: id,
      value_msat_total: 1_000_000,
    });
    const again = await world.run(...args, '--json');
    expect(JSON.parse(again.out)).toMatchObject({ boostUuid: id, paidMsat: '1000000', carriedMsat: '0' });
    expect(world.calls.filter(({ name }) => name === 'keysend')).toHaveLength(3);
  });

  test('says which share was not paid and why, and goes on with it when it is repeated', async () => {
    let works = false;
    await serve(({ nodeId }) =>
      nodeId !== guest || works
        ? {}
        : { status: 'failed', failure: { code: 'refused_by_destination', message: 'it wants no boosts' } },
    );
    const args = ['boost', writeFeeds(), 'one', '1000', '--id', id];
    const { code, out, err } = await world.run(...args);
    expect(code).toBe(1);
    expect(out).toContain('396 sat to guest (020000000000…): failed, it wants no boosts');
    expect(out).toContain('604 sat have arrived');
    expect(err).toContain(`--id ${id}`);
    works = true;
    expect(await world.run(...args)).toMatchObject({ code: 0 });
    expect(paidTo()).toEqual({ [host]: 594_000n, [guest]: 792_000n, [app]: 10_000n });
  });

  test('can be signed by the node', async () => {
    await serve();
    const { code } = await world.run('boost', writeFeeds(), 'one', '1000', '--id', id, '--sign');
    expect(code).toBe(0);
    const signed = world.calls.flatMap(({ name, request }) =>
      name === 'keysend' ? [(request as Sent).records.has(senderProofType)] : [],
    );
    expect(signed).toEqual([true, true, true]);
    expect(world.calls.filter(({ name }) => name === 'signMessage')).toHaveLength(3);
  });

  test('says who is paid by an address, for whose node nothing can be signed', async () => {
    await serve();
    const server = createServer((_, response) => {
      response.end(JSON.stringify({ status: 'OK', tag: 'keysend', pubkey: ownId, customData: [] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = `al@127.0.0.1:${(server.address() as AddressInfo).port}`;
      const path = writeFeeds();
      const byName = `<podcast:valueRecipient name="Al" type="lnaddress" address="${address}" split="1"/>`;
      const text = readFileSync(path, 'utf8');
      writeFileSync(path, text.replace('</podcast:value>', `${byName}</podcast:value>`));
      const args = ['boost', path, 'one', '1010', '--id', id, '--sign', '--allow-local'];
      const { code, out } = await world.run(...args);
      expect(code).toBe(0);
      expect(out).toContain(`Al (${address}) is paid by its address: not signed, no receipt asked\n`);
      const { payments } = JSON.parse((await world.run(...args, '--json')).out);
      expect(payments.map(({ proof }: { proof: boolean }) => proof)).toEqual([true, true, false, true]);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('over a wallet that is away plans nothing, and takes nothing of a budget', async () => {
    await world.run('budgets', 'set', 'podcasts', '2,000', '--per', 'day');
    const wallet = `http://127.0.0.1:9?token-file=${join(world.dataDir, 'token')}`;
    writeFileSync(join(world.dataDir, 'token'), 'secret');
    const args = ['boost', writeFeeds(), 'one', '1000', '--budget', 'podcasts', '--wallet', wallet];
    expect((await world.run(...args)).code).toBe(1);
    expect(JSON.parse((await world.run('budgets', '--json')).out).budgets).toMatchObject([
      { reservedMsat: '0', remainingMsat: '2000000' },
    ]);
  });

  test('asks before it pays, and pays nothing where the answer is no', async () => {
    await serve();
    const asked: string[] = [];
    const ask = async (question: string) => {
      asked.push(question);
      return 'n';
    };
    const { done } = world.start({ ask }, 'boost', writeFeeds(), 'one', '1000');
    expect(await done).toMatchObject({ code: 1, err: expect.stringContaining('nothing was paid') });
    expect(asked).toEqual(['Boost with 1,000 sat? [y/N] ']);
    expect(paidTo()).toEqual({});
  });
});

describe('stream', () => {
  const all = { [host]: 89_100n, [guest]: 59_400n, [artist]: 29_700n, [app]: 1_200n };
  const args = (...more: string[]) => [
    ...['stream', '--feed', writeFeeds(), '--item', 'one', '--speed', '100000', ...more],
  ];

  test('plays to the end, pays the rate that the feed suggests, and nothing when it is played again', async () => {
    await serve();
    const { code, out, err } = await world.run(...args('--duration', '3:00'));
    expect(err).toContain('playing Show: One\ufffd from 0:00:00 to 0:03:00, 60 sat a minute');
    expect(code).toBe(0);
    // Two minutes of 60 sat, and one of which half is the artist's; of all, 1 % is the app's: its last part waits.
    expect(paidTo()).toEqual(all);
    expect(out).toContain('0:03:00 heard, 179.4 sat paid');
    expect(out).toMatch(/app .*1.2 sat +600.000 msat/);
    expect(out).toContain('0.6 sat wait');
    const again = await world.run(...args('--duration', '3:00', '--json'));
    expect(again.code).toBe(0);
    expect(again.out.split('\n').map((line) => (line === '' ? '' : JSON.parse(line).type))).toEqual([
      'started',
      'finished',
      '',
    ]);
    expect(paidTo()[host]).toBe(89_100n);
    await world.run(...args('--duration', '3:00', '--session', 'once more'));
    expect(paidTo()[host]).toBe(178_200n);
  });

  test('pays a part of it, in batches', async () => {
    await serve();
    const { code } = await world.run(
      ...args('--from', '2:00', '--to', '4:30', '--batch-minutes', '2', '--sats-per-minute', '100'),
    );
    expect(code).toBe(0);
    expect(paidTo()).toEqual({ [host]: 148_500n, [guest]: 99_000n, [app]: 2_000n });
    expect(world.calls.filter(({ name }) => name === 'keysend')).toHaveLength(5);
  });

  test('says what is missing', async () => {
    await serve();
    expect(await world.run(...args())).toMatchObject({
      code: 2,
      err: expect.stringMatching(/how long the episode is/),
    });
    expect((await world.run(...args('--duration', '1:00', '--from', '2:00'))).code).toBe(2);
    expect((await world.run(...args('--duration', '1:00', '--speed', '0'))).code).toBe(2);
  });

  test('fails where a budget ended it, however much of it was heard', async () => {
    await serve();
    await world.run('budgets', 'set', 'small', '1', '--per', 'day');
    const { code, err } = await world.run(...args('--duration', '3:00', '--budget', 'small'));
    expect(code).toBe(1);
    expect(err).toMatch(/not all that was heard is paid: the budget small has 1 sat left/);
    expect(err.match(/and this may cost/g)).toHaveLength(2);
    expect(paidTo()).toEqual({});
  });

  test('that is stopped keeps what was heard, and goes on', async () => {
    await serve();
    const slow = ['stream', '--feed', writeFeeds(), '--item', 'one', '--duration', '3:00', '--speed', '300'];
    let watching = (): void => {};
    let said = '';
    const context = {
      errIsTty: true,
      err: (text: string) => {
        said += text;
        if (/0:0[1-2]/.test(text) && text.startsWith('\r')) watching();
      },
    };
    const running = world.start(context, ...slow);
    watching = running.interrupt;
    expect((await running.done).code).toBe(130);
    expect(said).toMatch(/stopped at 0:0[12]:.*the same command goes on/);
    expect(running.printed.out).toMatch(/s heard are kept/);
    const paid = Object.values(paidTo()).reduce((sum, each) => sum + each, 0n);
    expect(paid).toBeLessThan(130_000n);
    expect((await world.run(...slow)).code).toBe(0);
    expect(paidTo()).toEqual(all);
  });
});
