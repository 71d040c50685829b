import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { InvoiceCurrency } from '@rivulet/core/invoice';
import {
  type AuditSink,
  createResolver,
  type DestinationResolver,
  type Fetcher,
  type PaymentGuard,
  rivuletWallet,
  type ToolkitStore,
  type Wallet,
} from '@rivulet/keysend';
import { AuditLog, createGuard } from '@rivulet/keysend/compliance';
import { guardedFetcher, loadToolkitSecret, openWallet } from '@rivulet/keysend/node';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import type { Command } from 'commander';
import type { CliContext, GlobalOptions } from './cliContext.js';
import { CliError, exitCodes } from './cliError.js';
import { dataDirOf, openClient } from './daemonClient.js';

/** Options of every command that pays or receives over a wallet. */
export interface ToolkitOptions extends GlobalOptions {
  readonly wallet?: string;
  readonly allowLocal?: boolean;
}

/** Adds `--wallet` to a command. */
export function addToolkitOptions(command: Command): Command {
  return command
    .option(
      '--wallet <url>',
      'the wallet (default: the daemon of the data folder; or RIVULET_WALLET): rivulet:<data folder>, lnd+https://<host>:8080?macaroon-file=…&cert-file=…, cln+https://<host>:3010?rune-file=…, eclair+http://<host>:8080?password-file=…, nwc:?uri-file=…',
    )
    .option(
      '--allow-local',
      'let feeds and addresses be on this machine and in its networks, for development',
    );
}

const localAllowance = { loopback: true, private: true };

/** Fetches what feeds and addresses name: on this machine and in its networks only with `--allow-local`. */
export function fetcherOf({ allowLocal }: ToolkitOptions): Fetcher {
  return guardedFetcher(allowLocal === true ? { allow: localAllowance } : {});
}

/** What the commands of the toolkit work with. */
export interface CliToolkit {
  readonly dataDir: string;
  readonly toolkit: Toolkit;
  readonly store: ToolkitStore;
  /** 32 bytes: what the preimages of payments derive from. */
  readonly secret: Uint8Array;
  /** Opened when it is needed first: listing what is stored needs no wallet. */
  readonly wallet: () => Promise<Wallet>;
  readonly audit: AuditSink;
  readonly guard: PaymentGuard;
  readonly fetcher: Fetcher;
  readonly resolver: DestinationResolver;
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly signal: AbortSignal;
}

const toolkitFileName = 'toolkit.sqlite';
const secretFileName = 'toolkit-secret';

/** Runs a command over the toolkit of the data folder; lets go of all afterwards. */
export async function withToolkit<T>(
  context: CliContext,
  options: ToolkitOptions,
  work: (toolkit: CliToolkit) => Promise<T>,
): Promise<T> {
  const dataDir = dataDirOf(context, options);
  // A folder that was mistyped is not made: it would look as if nothing were there.
  if (walletUrlOf(context, options) === undefined && !existsSync(dataDir)) {
    const message = `there is no data folder ${dataDir}`;
    throw new CliError('daemon_not_running', message, { exitCode: exitCodes.notRunning });
  }
  const toolkit = openToolkit({ path: join(dataDir, toolkitFileName) });
  const opened: Wallet[] = [];
  try {
    const { store } = toolkit;
    const audit = new AuditLog({ store });
    const secret = loadToolkitSecret({ path: join(dataDir, secretFileName), store });
    const fetcher = fetcherOf(options);
    let opening: Promise<Wallet> | undefined;
    const wallet = async (): Promise<Wallet> => {
      opening ??= openWalletOf(context, { options, store });
      const one = await opening;
      if (!opened.includes(one)) opened.push(one);
      return one;
    };
    return await work({
      dataDir,
      toolkit,
      store,
      secret,
      wallet,
      audit,
      guard: createGuard({ audit }),
      fetcher,
      resolver: resolverOf(wallet, fetcher),
      now: Date.now,
      randomBytes: (count) => Uint8Array.from(randomBytes(count)),
      signal: context.signal,
    });
  } finally {
    for (const wallet of opened) await wallet.close();
    toolkit.close();
  }
}

function walletUrlOf(context: CliContext, options: ToolkitOptions): string | undefined {
  return options.wallet ?? context.env.RIVULET_WALLET;
}

/** The wallet that is asked for; the daemon of the data folder where none is. */
async function openWalletOf(
  context: CliContext,
  { options, store }: { options: ToolkitOptions; store: ToolkitStore },
): Promise<Wallet> {
  const url = walletUrlOf(context, options);
  if (url !== undefined) return openWallet(url, { env: context.env, store });
  return rivuletWallet(openClient(dataDirOf(context, options)));
}

/** Of a wallet's network; its invoices have to be of the same. */
const currencies: Readonly<Record<string, InvoiceCurrency>> = {
  mainnet: 'bc',
  bitcoin: 'bc',
  testnet: 'tb',
  testnet4: 'tb',
  signet: 'tbs',
  regtest: 'bcrt',
};

/** Asks the wallet which network it is on when something is resolved first. */
function resolverOf(wallet: () => Promise<Wallet>, fetcher: Fetcher): DestinationResolver {
  let made: Promise<DestinationResolver> | undefined;
  const resolver = (): Promise<DestinationResolver> => {
    made ??= (async () => {
      const { network } = await (await wallet()).info();
      const currency = network === undefined ? undefined : currencies[network];
      return createResolver({ fetcher, now: Date.now, ...(currency === undefined ? {} : { currency }) });
    })();
    return made;
  };
  return {
    resolve: async (recipient, options) => (await resolver()).resolve(recipient, options),
    invoice: async (destination, request) => (await resolver()).invoice(destination, request),
  };
}
