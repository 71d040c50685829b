import { join } from 'node:path';
import type { DaemonReady } from '@rivulet/node';
import { configKeys, loadConfig } from '@rivulet/node/config';
import { Option } from 'commander';
import { type CliContext, untilAborted } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { dataDirOf, withDaemon } from '../daemonClient.js';
import { formatNodeAddress } from '../format/nodeAddress.js';
import { printAnswer, printJson, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerDaemon: RegisterCommand = (program, context) => {
  const up = program
    .command('up')
    .description('run the daemon in the foreground, until Ctrl-C or rivulet stop')
    .addHelpText(
      'after',
      `\nEach setting can also stand in rivulet.json in the data folder ({"listen": {"port": 9735}}) or in the
environment (RIVULET_LISTEN_PORT=9735). Flags come first, then the environment, then the file.\n${examples(
        'rivulet up',
        'rivulet up --data-dir ~/alice --listen-port 0 --api-port 0 --keysend-accept',
        'rivulet up --network signet --chain-type esplora --chain-url https://mempool.space/signet/api',
      )}`,
    );
  const settings = configKeys.filter(({ key }) => key !== 'dataDir');
  const names = new Map<string, string>();
  for (const { key, flag, description, isBoolean, defaultText } of settings) {
    const shown = defaultText === undefined ? description : `${description} (default: ${defaultText})`;
    const option = new Option(`${flag} ${isBoolean ? '[true|false]' : '<value>'}`, shown);
    names.set(option.attributeName(), key);
    up.addOption(option);
  }
  up.action(async (_, command) => {
    const options = allOptions<Record<string, string | boolean | undefined>>(command);
    const flags: Record<string, string | boolean | undefined> = { dataDir: options.dataDir };
    for (const [name, key] of names) flags[key] = options[name];
    const config = loadConfig({ flags, env: context.env, homeDir: context.homeDir });
    const runDaemon = await context.loadRunDaemon();
    const daemon = await withProgress(context, {
      what: 'starting',
      options,
      work: runDaemon({
        config,
        signal: context.signal,
        onReady: (ready) => {
          if (options.json === true) printJson(context, ready);
          else context.out(describeReady(ready));
        },
      }),
    });
    await Promise.race([untilAborted(context.signal), daemon.stopRequested]);
    await withProgress(context, { what: 'stopping', options, work: daemon.stop() });
    if (options.json !== true) context.err('stopped\n');
  });

  program
    .command('stop')
    .description('stop the daemon of the data folder')
    .addHelpText('after', examples('rivulet stop', 'rivulet stop --data-dir ~/alice'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.stop({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'stop', answer, text: () => 'the daemon stops' });
      });
    });

  program
    .command('regtest')
    .description('run a regtest chain that several daemons can share, until Ctrl-C')
    .option('--rpc-port <port>', "the port of bitcoind's RPC (default: any that is free)")
    .option('--esplora-port <port>', 'the port of the Esplora server (default: any that is free)')
    .addHelpText('after', examples('rivulet regtest', 'rivulet regtest --rpc-port 18443'))
    .action(async (_, command) => {
      await runRegtest(context, allOptions<RegtestFlags>(command));
    });
};

function describeReady({ nodeId, apiUrl, listening, newWordsFile }: DaemonReady): string {
  return [
    `node id  ${nodeId}`,
    ...listening.map(({ host, port }) => `address  ${formatNodeAddress({ nodeId, host, port })}`),
    `api      ${apiUrl}`,
    ...(newWordsFile === undefined
      ? []
      : [
          `This is a new wallet. Write down the words in ${newWordsFile}: they recover its coins on chain, and with the newest channels.backup beside them what is yours in channels.`,
        ]),
    'ready; end with Ctrl-C\n',
  ].join('\n');
}

interface RegtestFlags {
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly rpcPort?: string;
  readonly esploraPort?: string;
}

function parsePort(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port >= 0 && port <= 65_535) return port;
  throw usageError(`${flag} must be a port from 0 to 65535, not ${JSON.stringify(text)}`);
}

async function runRegtest(context: CliContext, options: RegtestFlags): Promise<void> {
  const rpcPort = parsePort(options.rpcPort, '--rpc-port');
  const esploraPort = parsePort(options.esploraPort, '--esplora-port');
  const dataDir = join(dataDirOf(context, options), 'regtest');
  const startRegtest = await context.loadStartRegtest();
  let onStop = () => {};
  const stopped = new Promise<void>((resolve) => {
    onStop = resolve;
  });
  const regtest = await startRegtest({
    dataDir,
    onStop,
    ...(rpcPort === undefined ? {} : { rpcPort }),
    ...(esploraPort === undefined ? {} : { esploraPort }),
  });
  const { rpcUrl, esploraUrl, cookiePath } = regtest;
  if (cookiePath === undefined) throw new CliError('not_available', 'the chain has no folder');
  if (options.json === true) printJson(context, { rpcUrl, esploraUrl, cookiePath });
  else {
    context.out(
      [
        `rpc      ${rpcUrl}`,
        `cookie   ${cookiePath}`,
        `esplora  ${esploraUrl}`,
        'use it with:',
        `  rivulet up --data-dir <folder> --chain-type bitcoind --chain-url ${rpcUrl} --chain-cookie-path ${cookiePath}`,
        'ready; end with Ctrl-C\n',
      ].join('\n'),
    );
  }
  await Promise.race([untilAborted(context.signal), stopped]);
  await regtest.stop();
}
