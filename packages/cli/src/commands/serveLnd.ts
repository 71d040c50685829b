import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startLndV1Server } from '@rivulet/keysend/node';
import { untilAborted } from '../cliContext.js';
import { CliError } from '../cliError.js';
import { parseWholeNumber } from '../format/number.js';
import { printJson } from '../output.js';
import { addToolkitOptions, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface ServeOptions extends ToolkitOptions {
  readonly port: string;
}

const macaroonFileName = 'lnd-api.macaroon';

export const registerServeLnd: RegisterCommand = (program, context) => {
  addToolkitOptions(
    program
      .command('serve-lnd')
      .description(
        'answer the calls that LND removed in 0.21 (POST /v1/channels/transactions) over a wallet, for apps that still make them, until Ctrl-C',
      )
      .option('--port <port>', 'on 127.0.0.1; 0 for any that is free', '8080'),
  )
    .addHelpText(
      'after',
      examples(
        'rivulet serve-lnd',
        'rivulet serve-lnd --port 8088 --wallet "lnd+https://127.0.0.1:8080?macaroon-file=admin.macaroon&cert-file=tls.cert"',
      ),
    )
    .action((_, command) => {
      const options = allOptions<ServeOptions>(command);
      const port = parseWholeNumber(options.port, { what: '--port', minimum: 0, maximum: 65_535 });
      return withToolkit(context, options, async ({ dataDir, store, wallet, signal }) => {
        const path = join(dataDir, macaroonFileName);
        const server = await startLndV1Server({
          wallet: await wallet(),
          store,
          macaroonHex: macaroonOf(path),
          host: '127.0.0.1',
          port,
        });
        try {
          if (options.json === true) printJson(context, { url: server.url, macaroonFile: path });
          else context.out(`apps find LND's removed calls at ${server.url}; their macaroon is in ${path}\n`);
          await untilAborted(signal);
        } finally {
          await server.close();
        }
      });
    });
};

/** What apps have to send: made once, as binary as LND's own. */
function macaroonOf(path: string): string {
  if (!existsSync(path)) writeFileSync(path, randomBytes(32), { mode: 0o600, flag: 'wx' });
  const bytes = readFileSync(path);
  if (bytes.length < 16) throw new CliError('not_available', `${path} is too short: remove it`);
  return bytes.toString('hex');
}
