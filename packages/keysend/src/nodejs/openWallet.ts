import { readFile as readFileOfSystem } from 'node:fs/promises';
import { join } from 'node:path';
import { apiFile, apiFileName, createClient, tokenFileName } from '@rivulet/sdk';
import { WebSocket } from 'ws';
import { KeysendError } from '../keysendError.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import { clnWallet } from '../wallets/cln/index.js';
import { eclairWallet } from '../wallets/eclair/index.js';
import type { WalletFetch } from '../wallets/http/index.js';
import { lndWallet } from '../wallets/lnd/index.js';
import { nwcWallet } from '../wallets/nwc/index.js';
import { rivuletWallet } from '../wallets/rivulet/index.js';
import type { Wallet } from '../wallets/wallet.js';
import { openWalletSecrets, type WalletUrl, walletUrlOf } from './openWalletUrl.js';
import { pinnedFetch } from './pinnedFetch.js';

export interface OpenWalletOptions {
  /** For secrets that are in variables (`…-env=NAME`); those of the process where it is absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly readFile?: (path: string) => Promise<Uint8Array>;
  readonly schedule?: Schedule;
  /** For wallets that need a memory of their own (Eclair). */
  readonly store?: ToolkitStore;
}

/**
 * Opens a wallet from one URL. Secrets are in files or variables that it names, never in the URL (but for that of
 * Nostr Wallet Connect, which is one itself).
 *
 * - `rivulet:/path/of/the/data/folder`, or `http://127.0.0.1:9736?token-file=…`
 * - `lnd+https://host:8080?macaroon-file=…&cert-file=…`
 * - `cln+https://host:3010?rune-file=…&cert-file=…` (or `ca-file=…`)
 * - `eclair+http://host:8080?password-file=…`
 * - `nostr+walletconnect://…`, or `nwc:?uri-file=…`
 *
 * `…-env=NAME` instead of `…-file=…` takes it from a variable; `cert-sha256=…` pins a certificate by its fingerprint.
 * @throws KeysendError `wallet_invalid`, `wallet_unreachable`
 */
export async function openWallet(text: string, options: OpenWalletOptions = {}): Promise<Wallet> {
  const { env = process.env, readFile = readFileOfSystem, schedule, store } = options;
  const url = walletUrlOf(text);
  const secrets = openWalletSecrets({ url, env, readFile });
  const timers = schedule === undefined ? {} : { schedule };
  switch (url.kind) {
    case 'folder': {
      const { apiUrl, token } = await daemonOf(url.folder, readFile);
      return rivuletWallet(createClient({ url: apiUrl, token }), timers);
    }
    case 'rivulet':
      return rivuletWallet(createClient({ url: url.address, token: await secrets.text('token') }), timers);
    case 'lnd': {
      const macaroonHex = await secrets.hex('macaroon');
      return lndWallet({ url: url.address, macaroonHex, ...(await fetchOf(url, secrets)), ...timers });
    }
    case 'cln': {
      const rune = await secrets.text('rune');
      return clnWallet({ url: url.address, rune, ...(await fetchOf(url, secrets)), ...timers });
    }
    case 'eclair': {
      const password = await secrets.text('password');
      const remember = store === undefined ? {} : { store };
      return eclairWallet({
        url: url.address,
        password,
        ...(await fetchOf(url, secrets)),
        ...timers,
        ...remember,
      });
    }
    case 'nwc': {
      const uri = url.uri ?? (await secrets.text('uri'));
      return nwcWallet({ uri, WebSocket, ...timers });
    }
  }
}

type Secrets = ReturnType<typeof openWalletSecrets>;

async function fetchOf(url: WalletUrl, secrets: Secrets): Promise<{ fetch?: WalletFetch }> {
  if (url.kind === 'folder') return {};
  const fingerprint = url.parameters.get('cert-sha256');
  if (fingerprint !== undefined) return { fetch: pinnedFetch({ certificate: fingerprint }) };
  if (url.parameters.has('cert-file')) {
    return { fetch: pinnedFetch({ certificate: await secrets.file('cert-file') }) };
  }
  if (url.parameters.has('ca-file')) {
    return { fetch: pinnedFetch({ authority: await secrets.file('ca-file') }) };
  }
  return {};
}

/** Where the daemon of a data folder is, and its token. */
async function daemonOf(
  folder: string,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<{ apiUrl: string; token: string }> {
  const read = async (name: string): Promise<string> => {
    try {
      return new TextDecoder().decode(await readFile(join(folder, name))).trim();
    } catch (error) {
      const { code } = error as { code?: unknown };
      const message =
        code === 'ENOENT'
          ? `no daemon runs in ${folder} (there is no ${name}): start it with \`rivulet up\``
          : `the file ${join(folder, name)} cannot be read (${String(code)})`;
      throw new KeysendError('wallet_unreachable', message);
    }
  };
  let parsed: ReturnType<typeof apiFile.safeParse>;
  try {
    parsed = apiFile.safeParse(JSON.parse(await read(apiFileName)));
  } catch (error) {
    if (error instanceof KeysendError) throw error;
    parsed = apiFile.safeParse(undefined);
  }
  if (!parsed.success) {
    throw new KeysendError(
      'wallet_invalid',
      `the file ${join(folder, apiFileName)} is damaged: restart the daemon`,
    );
  }
  return { apiUrl: parsed.data.url, token: await read(tokenFileName) };
}
