import { RivuletError } from '@rivulet/core/bytes';
import { KeysendError, type KeysendErrorCode } from '@rivulet/keysend';
import { ClientError } from '@rivulet/sdk';
import { Command, CommanderError } from 'commander';
import type { CliContext } from './cliContext.js';
import { CliError, type ExitCode, exitCodes } from './cliError.js';
import { registerAudit } from './commands/audit.js';
import { registerBackup } from './commands/backup.js';
import { registerBoost } from './commands/boost.js';
import { registerBoosts } from './commands/boosts.js';
import { registerBudgets } from './commands/budgets.js';
import { registerChannels } from './commands/channels.js';
import { registerDaemon } from './commands/daemon.js';
import { registerDemo } from './commands/demo.js';
import { registerForwarding } from './commands/forwarding.js';
import { registerHealth } from './commands/health.js';
import { registerInfo } from './commands/info.js';
import { registerInvoices } from './commands/invoices.js';
import { registerListen } from './commands/listen.js';
import { registerNetwork } from './commands/network.js';
import { registerPay } from './commands/pay.js';
import { registerPayments } from './commands/payments.js';
import { registerPayout } from './commands/payout.js';
import { registerPeers } from './commands/peers.js';
import { registerReceipt } from './commands/receipt.js';
import { registerRouting } from './commands/routing.js';
import { registerRules } from './commands/rules.js';
import { registerServeLnd } from './commands/serveLnd.js';
import { registerSimulate } from './commands/simulate.js';
import { registerSplit } from './commands/split.js';
import { registerStream } from './commands/stream.js';
import { registerTower } from './commands/tower.js';
import { registerWallet } from './commands/wallet.js';
import { registerWalletCoins } from './commands/walletCoins.js';
import { registerWalletDescriptors } from './commands/walletDescriptors.js';
import { registerWalletPsbt } from './commands/walletPsbt.js';
import { registerWalletSend } from './commands/walletSend.js';
import { printError, systemCode } from './output.js';

const exitCodeHelp = `
Exit codes: 0 done, 1 refused or failed, 2 the command makes no sense, 3 no daemon runs,
4 the outcome of a payment is not known, 130 interrupted.`;

function createProgram(context: CliContext): Command {
  const program: Command = new Command('rivulet')
    .description('A Lightning node for spontaneous payments.')
    .version('0.1.0')
    .option('--data-dir <folder>', 'the folder of the daemon (default: ~/.rivulet, or RIVULET_DATA_DIR)')
    .option('--json', 'print JSON, for programs')
    .configureHelp({
      showGlobalOptions: true,
      helpWidth: 110,
      // What a group takes for itself (`policy --base`) is no option of its commands.
      visibleGlobalOptions: (command) => (command === program ? [] : [...program.options]),
    })
    .configureOutput({ writeOut: context.out, writeErr: context.err, outputError: () => {} })
    .exitOverride()
    .addHelpText('after', exitCodeHelp);
  for (const register of [
    registerDaemon,
    registerInfo,
    registerHealth,
    registerPeers,
    registerChannels,
    registerWallet,
    registerWalletSend,
    registerWalletCoins,
    registerWalletPsbt,
    registerWalletDescriptors,
    registerPayments,
    registerInvoices,
    registerPay,
    registerListen,
    registerBoost,
    registerSplit,
    registerStream,
    registerPayout,
    registerRules,
    registerRouting,
    registerForwarding,
    registerNetwork,
    registerReceipt,
    registerAudit,
    registerTower,
    registerBackup,
    registerBoosts,
    registerBudgets,
    registerServeLnd,
    registerDemo,
    registerSimulate,
  ]) {
    register(program, context);
  }
  return program;
}

/**
 * Runs one command line.
 * @param args without the names of node and the program.
 * @returns what the process should end with; everything is printed already.
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const program = createProgram(context);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return report(error, { context, json: args.includes('--json'), command: commandOf(program, args) });
  }
}

/** `rivulet boosts list`: what was asked for, as far as its name could be read. */
function commandOf(program: Command, args: readonly string[]): string {
  const path = [program];
  for (const arg of args) {
    const command = path.at(-1)?.commands.find((one) => one.name() === arg);
    if (command !== undefined) path.push(command);
    else if (path.length > 1) break;
  }
  return path.map((command) => command.name()).join(' ');
}

function report(error: unknown, given: { context: CliContext; json: boolean; command: string }): ExitCode {
  const { context, json, command } = given;
  if (error instanceof CommanderError) {
    // Help and version, which are printed already.
    if (error.exitCode === 0) return exitCodes.ok;
    if (error.code !== 'commander.help') {
      const message = error.message.replace(/^error: /, '');
      printError(context, { error: new Error(message), hint: `See: ${command} --help`, json });
    }
    return exitCodes.usage;
  }
  if (context.signal.aborted && !(error instanceof CliError)) {
    context.err('interrupted\n');
    return exitCodes.interrupted;
  }
  const hint = hintFor(error);
  printError(context, { error, json, ...(hint === undefined ? {} : { hint }) });
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof ClientError && usageCodes.has(error.code)) return exitCodes.usage;
  if (error instanceof KeysendError && toolkitUsageCodes.has(error.code)) return exitCodes.usage;
  // A fault of our own: whoever reports it can say where.
  if (!(error instanceof RivuletError) && error instanceof Error && systemCode(error) === undefined) {
    context.err(`${error.stack}\n`);
  }
  return isConfigError(error) ? exitCodes.usage : exitCodes.failed;
}

/** What the daemon, or the client before it, finds wrong with a request itself. */
const usageCodes: ReadonlySet<string> = new Set([
  'invalid_request',
  'request_invalid',
  'own_node',
  'node_id_invalid',
  'record_invalid',
  'message_too_long',
  'address_invalid',
  'address_malformed',
  'address_wrong_network',
  'psbt_malformed',
  'bad_label',
  'bad_coin',
  // Texts that are no invoice.
  'invoice_invalid',
  'not_bech32',
  'mixed_case',
  'checksum_invalid',
  'prefix_unknown',
  'too_short',
]);

/** The same of the toolkit. */
const toolkitUsageCodes: ReadonlySet<string> = new Set<KeysendErrorCode>([
  'request_invalid',
  'record_invalid',
  'schedule_invalid',
  'wallet_invalid',
]);

function isConfigError(error: unknown): boolean {
  return error instanceof RivuletError && error.code.startsWith('config_');
}

/** What to do next. */
function hintFor(error: unknown): string | undefined {
  if (error instanceof Error && systemCode(error) === 'EADDRINUSE') {
    return 'Give another port, or end what listens there.';
  }
  if (!(error instanceof RivuletError)) return undefined;
  switch (error.code) {
    case 'daemon_not_running':
      return 'Start it with: rivulet up   (another data folder: --data-dir <folder>)';
    case 'unauthorized':
      return 'The file api-token in the data folder belongs to another daemon: restart the daemon of this folder.';
    case 'unknown_peer':
    case 'peer_offline':
      return 'Connect to it with: rivulet connect <node>@<host>:<port>';
    case 'insufficient_balance':
    case 'insufficient_funds':
      return 'See what there is with: rivulet balance, rivulet channels';
    case 'no_channel':
    case 'no_channels':
      return 'Open one with: rivulet open <node> <sats>';
    case 'chain_unreachable':
    case 'chain_timeout':
      return 'Start bitcoind or the Esplora server, or say where it is: --chain-url <url>';
    case 'chain_unauthorized':
      return "Give bitcoind's own: --chain-cookie-path <file>, or --chain-user and --chain-password";
    case 'chain_bad_response':
      return 'Check what is there: --chain-type and --chain-url have to fit each other.';
    case 'chain_busy':
    case 'chain_warming_up':
      return 'That passes by itself: try again in a minute.';
    case 'chain_block_pruned':
      return 'Run bitcoind with prune=0 (once with -reindex), or use a server that has all blocks: --chain-type esplora --chain-url <url>';
    case 'chain_invalid_data':
      return 'Use another server, or several of which one is honest: --chain-url <url>,<url>';
    case 'copy_behind':
    case 'copy_lost':
      return "Bring the copy's disk back, or do without it: --database-copy-required false. See: rivulet health";
    case 'copy_conflict':
      return 'Do not delete the copy: it may be the newer one. See docs/operations.md.';
    case 'budget_exceeded':
      return 'See what there is with: rivulet budgets';
    case 'not_accepting':
      return 'See why with: rivulet health';
    case 'fee_limit':
      return 'If that is worth it, raise the limit: --max-fee <sats> (of rebalance: --max-fee-ppm)';
    case 'cltv_limit':
      return 'If that is worth it, raise the limit: --max-delay <blocks>';
    case 'destination_unknown':
    case 'unknown_node':
      return 'See what is known of the network with: rivulet network';
    case 'unknown_invoice':
      return 'List the invoices with: rivulet invoices';
    case 'address_wrong_network':
      return 'See which network this node is on with: rivulet info';
    case 'unknown_coin':
    case 'coin_taken':
      return 'List the coins with: rivulet coins';
    case 'unknown_transaction':
      return 'List the transactions with: rivulet transactions';
    case 'unknown_channel':
      return 'List the channels with: rivulet channels';
    default:
      return undefined;
  }
}
