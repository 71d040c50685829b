import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiFileName, tokenFileName } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeysendError } from '../keysendError.js';
import { memoryStore } from '../store/memoryStore.js';
import { ClnServer } from '../wallets/cln/clnServer.test.support.js';
import { EclairServer } from '../wallets/eclair/eclairServer.test.support.js';
import { LndServer } from '../wallets/lnd/lndServer.test.support.js';
import type { LoopbackServer } from '../wallets/loopbackServer.test.support.js';
import { RivuletServer } from '../wallets/rivulet/rivuletServer.test.support.js';
import { openWallet } from './openWallet.js';
import { tlsFile, tlsOf } from './tlsFixtures.test.support.js';

let folder: string;
let running: LoopbackServer[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-open-wallet-'));
  running = [];
});

afterEach(async () => {
  for (const server of running) await server.stop();
  rmSync(folder, { recursive: true });
});

async function up<T extends { readonly server: LoopbackServer }>(world: T): Promise<T> {
  await world.server.start();
  running.push(world.server);
  return world;
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function refusalOf(url: string, env = {}): Promise<KeysendError> {
  return openWallet(url, { env }).then(
    () => {
      throw new Error('it was opened');
    },
    (error: KeysendError) => error,
  );
}

describe('a wallet from a URL', () => {
  test('of the daemon of a data folder', async () => {
    const daemon = await up(new RivuletServer());
    file(apiFileName, JSON.stringify({ url: daemon.server.url, pid: 1 }));
    file(tokenFileName, `${daemon.token}\n`);
    const wallet = await openWallet(`rivulet:${folder}`);
    expect(await wallet.info()).toMatchObject({ kind: 'rivulet', nodeId: daemon.nodeId });
  });

  test('of a daemon elsewhere, with its token in a file', async () => {
    const daemon = await up(new RivuletServer());
    const token = file('token', daemon.token);
    const wallet = await openWallet(`${daemon.server.url}?token-file=${encodeURIComponent(token)}`);
    expect((await wallet.info()).nodeId).toBe(daemon.nodeId);
    const same = await openWallet(`rivulet+${daemon.server.url}?token-env=T`, { env: { T: daemon.token } });
    expect((await same.info()).nodeId).toBe(daemon.nodeId);
  });

  test('of LND, with its own certificate and the macaroon as LND writes it', async () => {
    const node = await up(new LndServer(tlsOf('node')));
    const bytes = file('admin.macaroon', Buffer.from(node.macaroonHex, 'hex'));
    const hex = file('admin.hex', `${node.macaroonHex}\n`);
    const address = `lnd+${node.server.url}`;
    for (const macaroon of [`macaroon-file=${bytes}`, `macaroon-file=${hex}`, 'macaroon-env=MACAROON']) {
      const url = `${address}?${macaroon}&cert-file=${tlsFile('node.pem')}`;
      const wallet = await openWallet(url, { env: { MACAROON: node.macaroonHex } });
      expect(await wallet.info()).toMatchObject({ kind: 'lnd', nodeId: node.nodeId });
    }
    const other = await openWallet(`${address}?macaroon-file=${bytes}&cert-file=${tlsFile('impostor.pem')}`);
    await expect(other.info()).rejects.toMatchObject({ code: 'wallet_unreachable' });
  });

  test('of Core Lightning, with its rune in a file', async () => {
    const node = await up(new ClnServer());
    const rune = file('rune', `${node.rune}\n`);
    const wallet = await openWallet(`cln+${node.server.url}?rune-file=${rune}`);
    expect(await wallet.info()).toMatchObject({ kind: 'cln', nodeId: node.nodeId });
    const certificate = `ca-file=${tlsFile('authority.pem')}`;
    const secure = await openWallet(`cln+https://127.0.0.1:1?rune-file=${rune}&${certificate}`);
    await expect(secure.info()).rejects.toMatchObject({ code: 'wallet_unreachable' });
  });

  test('of Eclair, which remembers its payments in the store that is given', async () => {
    const node = await up(new EclairServer());
    const password = file('password', node.password);
    const url = `eclair+${node.server.url}?password-file=${password}`;
    const wallet = await openWallet(url, { store: memoryStore() });
    expect(await wallet.info()).toMatchObject({ kind: 'eclair', nodeId: node.nodeId });
    expect((await wallet.capabilities()).repeats).toBe('lookup');
    expect((await (await openWallet(url)).capabilities()).repeats).toBe('none');
  });

  test('of Nostr Wallet Connect, also from a file', async () => {
    const uri = `nostr+walletconnect://${'ab'.repeat(32)}?relay=wss%3A%2F%2F127.0.0.1%3A1&secret=${'11'.repeat(32)}`;
    for (const url of [uri, `nwc:?uri-file=${file('uri', uri)}`]) {
      const wallet = await openWallet(url);
      expect(wallet.kind).toBe('nwc');
      await wallet.close();
    }
  });
});

describe('a URL that opens no wallet', () => {
  const secret = 'c2VjcmV0LW9mLW1pbmU';

  test.each([
    ['', /no wallet has a URL like this/],
    [`ftp://host?password=${secret}`, /no wallet has a URL like this/],
    ['lnd+https://', /is no URL/],
    ['lnd+https://host:99999?macaroon-file=a', /is no URL/],
    ['lnd+https://host:8080', /needs macaroon-file=/],
    [`lnd+https://host:8080?macaroon=${secret}`, /secrets do not belong into the URL.*macaroon-file/],
    [`eclair+http://:${secret}@host:8080`, /secrets do not belong into the URL.*password-file/],
    [`lnd+https://host?macaroon-file=a&${secret}=1`, /not known \(one of them\)/],
    ['lnd+https://host?macaroon-file=a&rune-file=b', /not known \(rune-file\): it takes macaroon-file/],
    ['lnd+https://host?macaroon-file=a&macaroon-file=b', /twice/],
    ['lnd+https://host?macaroon-file=a&macaroon-env=b', /give one of/],
    ['lnd+https://host?macaroon-file=', /is empty/],
    ['lnd+https://host?macaroon-env=NO_SUCH', /NO_SUCH \(macaroon-env\) is not set/],
    ['lnd+http://host?macaroon-env=GOOD&cert-sha256=00', /there is no certificate/],
    ['lnd+https://host?macaroon-env=GOOD&cert-sha256=00', /this is no certificate/],
    ['lnd+https://host?macaroon-env=GOOD&cert-file=a&ca-file=b', /give one of cert-file and ca-file/],
    ['lnd+https://host?macaroon-env=BAD', /hex digits/],
    ['rivulet:', /followed by the path/],
    ['nwc:', /needs uri-file=/],
    [`nostr+walletconnect://${secret}`, /./],
  ])('is refused and says why: %s', async (url, says) => {
    const error = await refusalOf(url, { GOOD: '00'.repeat(20), BAD: secret });
    expect(error).toMatchObject({ code: 'wallet_invalid' });
    expect(error.message).toMatch(says);
    expect(`${error.message}${error.stack}`).not.toContain(secret);
  });

  test('names the file that cannot be read', async () => {
    const path = join(folder, 'nothing');
    expect((await refusalOf(`lnd+https://host?macaroon-file=${path}`)).message).toBe(
      `the file ${path} (macaroon-file) cannot be read: ENOENT`,
    );
    const empty = await refusalOf(`eclair+http://host?password-file=${file('empty', '\n')}`);
    expect(empty.message).toMatch(/the password is empty/);
  });

  test('says that no daemon runs in a folder, and that its file is damaged', async () => {
    expect(await refusalOf(`rivulet:${folder}`)).toMatchObject({
      code: 'wallet_unreachable',
      message: expect.stringContaining(`no daemon runs in ${folder}`),
    });
    file(apiFileName, '{');
    expect((await refusalOf(`rivulet:${folder}`)).message).toMatch(/damaged/);
  });
});
