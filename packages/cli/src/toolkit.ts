import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type {
  AuditSink,
  DestinationResolver,
  Fetcher,
  PaymentGuard,
  ToolkitStore,
  Wallet,
} from '@rivulet/keysend';
import { AuditLog, createGuard } from '@rivulet/keysend/compliance';
import { loadToolkitSecret } from '@rivulet/keysend/node';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import type { Command } from 'commander';
import type { CliContext, GlobalOptions } from './cliContext.js';
import { dataDirOf } from './daemonClient.js';

/** Options of every command that pays or receives over a wallet. */
export interface ToolkitOptions extends GlobalOptions {
  readonly wallet?: string;
}

/** Adds `--wallet` to a command. */
export function addToolkitOptions(command: Command): Command {
  return command.option(
    '--wallet <url>',
    'the wallet (default: the daemon of the data folder; or RIVULET_WALLET): lnd+https://…, cln+https://…, eclair+http://…, nostr+walletconnect://…; with its secrets in files',
  );
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

export const toolkitFileName = 'toolkit.sqlite';
const secretFileName = 'toolkit-secret';

/** Runs a command over the toolkit of the data folder; lets go of all afterwards. */
export async function withToolkit<T>(
  context: CliContext,
  options: ToolkitOptions,
  work: (toolkit: CliToolkit) => Promise<T>,
): Promise<T> {
  const dataDir = dataDirOf(context, options);
  const toolkit = openToolkit({ path: join(dataDir, toolkitFileName) });
  const opened: Wallet[] = [];
  try {
    const { store } = toolkit;
    const audit = new AuditLog({ store });
    const secret = loadToolkitSecret({ path: join(dataDir, secretFileName), store });
    return await work({
      dataDir,
      toolkit,
      store,
      secret,
      wallet: async () => {
        throw new Error('not wired yet');
      },
      audit,
      guard: createGuard({ audit }),
      fetcher: async () => {
        throw new Error('not wired yet');
      },
      resolver: {
        resolve: async () => {
          throw new Error('not wired yet');
        },
        invoice: async () => {
          throw new Error('not wired yet');
        },
      },
      now: Date.now,
      randomBytes: (count) => Uint8Array.from(randomBytes(count)),
      signal: context.signal,
    });
  } finally {
    for (const wallet of opened) await wallet.close();
    toolkit.close();
  }
}
