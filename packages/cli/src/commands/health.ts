import type { ResponseOf } from '@rivulet/sdk';
import { withDaemon } from '../daemonClient.js';
import { formatSat } from '../format/amount.js';
import { formatTime, printable, shortId } from '../format/text.js';
import { printAnswer } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerHealth: RegisterCommand = (program, context) => {
  program
    .command('health')
    .description('show what wants a look: chain, disk, backups, towers, coins for fees, checks')
    .addHelpText('after', examples('rivulet health', 'rivulet health --json'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.health({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'health', answer, text: describe });
      });
    });
};

function describe(health: ResponseOf<'health'>): string {
  const { warnings, chain, disk, reserve, backups, peerBackups, databaseCopy, checks } = health;
  const free = disk.freeBytes === undefined ? '' : `, ${formatGigabytes(disk.freeBytes)} free`;
  const confirmed = peerBackups.filter((peer) => peer.confirmed).length;
  return [
    ...(warnings.length === 0 ? ['all is well'] : warnings.map(({ message }) => `! ${printable(message)}`)),
    '',
    `chain      ${chain.backend}, block ${chain.height}: ${chain.state} (${printable(chain.detail)})`,
    ...chain.servers.map(
      ({ url, state, detail }) => `  server   ${printable(url)}: ${state} (${printable(detail)})`,
    ),
    `disk       ${disk.state}${free}`,
    `fee coins  ${formatSat(reserve.haveSat)} of ${formatSat(reserve.neededSat)} that should be kept for closes`,
    ...backups.map(
      ({ path, channels, writtenAtMs }) =>
        `backup     ${printable(path)}: ${channels} channels` +
        (writtenAtMs === undefined ? '' : `, written ${formatTime(writtenAtMs)}`),
    ),
    ...(peerBackups.length === 0
      ? []
      : [
          `peers      ${confirmed} of ${peerBackups.length} showed at this connection that they keep the backup`,
        ]),
    ...(databaseCopy === undefined
      ? []
      : [`copy       ${printable(databaseCopy.folder)}: ${databaseCopy.state}`]),
    ...(checks === undefined
      ? []
      : [`checks     ${checks.findings.length} findings, ${formatTime(checks.atMs)}`]),
    ...(checks?.findings ?? []).map(
      ({ code, channelId, message }) =>
        `  ${code}${channelId === undefined ? '' : ` (channel ${shortId(channelId)})`}: ${printable(message)}`,
    ),
  ].join('\n');
}

function formatGigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
