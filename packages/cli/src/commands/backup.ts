import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { BackedUpChannel, ChannelBackup } from '@rivulet/core/backup';
import { bytesToHex, bytesToUtf8 } from '@rivulet/core/bytes';
import { channelIdOf } from '@rivulet/core/channel';
import { txidToHex } from '@rivulet/core/tx';
import type { RestoredFolder } from '@rivulet/node/backup';
import type { CliContext } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { dataDirOf } from '../daemonClient.js';
import { formatSat } from '../format/amount.js';
import { formatTable, formatTime, printable, shortId } from '../format/text.js';
import { printJson } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const wordsFileName = 'wallet-words';

// Loaded when needed: it brings the database.
const loadBackups = () => import('@rivulet/node/backup');

interface WordsOption {
  readonly wordsFile?: string;
}

interface RestoreOptions extends WordsOption {
  readonly backup?: string;
  readonly copy?: string;
  readonly birthHeight?: string;
}

export const registerBackup: RegisterCommand = (program, context) => {
  program
    .command('backup')
    .description('copy the encrypted backup of the channels, of a daemon that runs or not')
    .argument('<file>', 'where to; it must not be there yet')
    .addHelpText('after', examples('rivulet backup /mnt/stick/channels.backup'))
    .action(async (to: string, _, command) => {
      const options = allOptions(command);
      const { copyBackup } = await loadBackups();
      const copied = copyBackup({ dataDir: dataDirOf(context, options), to });
      if (options.json === true) printJson(context, copied);
      else {
        context.out(
          `${copied.path}: ${copied.bytes} bytes, for the words of this node alone. Look into it with: rivulet verify-backup\n`,
        );
      }
    });

  program
    .command('verify-backup')
    .description('show what is in a backup of the channels, which needs the words of its node')
    .argument('<file>', 'the backup')
    .option('--words-file <file>', 'the words (default: those of the data folder)')
    .addHelpText(
      'after',
      examples(
        'rivulet verify-backup ~/.rivulet/channels.backup',
        'rivulet verify-backup /mnt/stick/channels.backup --words-file ~/words',
      ),
    )
    .action(async (file: string, _, command) => {
      const options = allOptions<WordsOption>(command);
      const { readGiven, verifyBackup } = await loadBackups();
      const wordsFile = options.wordsFile ?? join(dataDirOf(context, options), wordsFileName);
      const words = readText(readGiven(wordsFile, 'the file of the words'));
      const backup = await verifyBackup({ sealed: readGiven(file, 'the backup'), words });
      if (options.json === true) printJson(context, backupAsJson(backup));
      else context.out(`${describeBackup(backup)}\n`);
    });

  program
    .command('restore')
    .description(
      'make a data folder, which has to be empty, of words and a backup, or of a copy of the database',
    )
    .option('--words-file <file>', 'the words of the node, in a file')
    .option('--backup <file>', 'the backup of its channels: their peers will be asked to close them')
    .option(
      '--copy <folder>',
      'a live copy of its database instead: its channels go on where that is the latest',
    )
    .option('--birth-height <block>', "the block of the wallet's first coin, where the backup is of no help")
    .addHelpText(
      'after',
      examples(
        'rivulet restore --words-file ~/words --backup /mnt/stick/channels.backup --data-dir ~/.rivulet',
        'rivulet restore --words-file ~/words --copy /mnt/nas/rivulet --data-dir ~/.rivulet',
      ),
    )
    .action(async (_, command) => {
      await restore(context, command);
    });
};

async function restore(context: CliContext, command: Parameters<typeof allOptions>[0]): Promise<void> {
  const options = allOptions<RestoreOptions>(command);
  const { backup, copy, wordsFile } = options;
  const { readGiven, restoreFromBackup, restoreFromCopy } = await loadBackups();
  const dataDir = dataDirOf(context, options);
  if ((backup === undefined) === (copy === undefined)) {
    throw usageError('say what to restore: --backup with a file, or --copy with a folder');
  }
  const words = wordsFile === undefined ? undefined : readText(readGiven(wordsFile, 'the file of the words'));
  const birthHeight = parseHeight(options.birthHeight);
  let restored: RestoredFolder;
  if (backup !== undefined) {
    if (words === undefined) throw usageError('a backup is opened with the words of its node: --words-file');
    restored = await restoreFromBackup({
      dataDir,
      words,
      sealed: readGiven(backup, 'the backup'),
      ...(birthHeight === undefined ? {} : { birthHeight }),
    });
  } else {
    if (birthHeight !== undefined)
      throw usageError('a copy knows its blocks: --birth-height is for --backup');
    restored = await restoreFromCopy({
      dataDir,
      copyDir: copy as string,
      ...(words === undefined ? {} : { words }),
    });
  }
  if (options.json === true) printJson(context, restored);
  else context.out(`${describeRestored(restored)}\n`);
}

function countOf(channels: number): string {
  return channels === 1 ? '1 channel' : `${channels} channels`;
}

function readText(bytes: Uint8Array): string {
  return bytesToUtf8(bytes) ?? '';
}

function parseHeight(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,8}$/.test(text)) return Number(text);
  throw usageError(`--birth-height must be the height of a block, not ${JSON.stringify(text)}`);
}

function describeRestored({ dataDir, network, nodeId, channels, birthHeight }: RestoredFolder): string {
  const flags = `--data-dir ${existsSync(dataDir) && /\s/.test(dataDir) ? JSON.stringify(dataDir) : dataDir}`;
  const count = countOf(channels);
  const next =
    birthHeight === undefined
      ? `${count}; each goes on when its peer has shown that the copy is the latest; where it is not, its peer closes it`
      : `${count}; the peer of each is asked to close it, and what is yours comes back on chain`;
  return [
    `restored node ${nodeId} on ${network} into ${dataDir}`,
    next,
    ...(birthHeight === undefined ? [] : [`the chain is read from block ${birthHeight} on`]),
    `Start it with: rivulet up ${flags} --network ${network}   and follow it with: rivulet channels ${flags}`,
    'Never run it while another one with the same words runs.',
  ].join('\n');
}

function backupAsJson({
  network,
  nodeId,
  createdAtMs,
  height,
  birthHeight,
  omitted,
  channels,
}: ChannelBackup) {
  return {
    network,
    nodeId: bytesToHex(nodeId),
    createdAtMs,
    height,
    birthHeight,
    omitted,
    channels: channels.map((channel) => ({
      channelId: bytesToHex(channelIdOf(channel.fundingOutpoint)),
      nodeId: bytesToHex(channel.remoteNodeId),
      capacitySat: channel.fundingSat.toString(),
      channelType: channel.format.commitment,
      opener: channel.localIsOpener ? 'local' : 'remote',
      announced: channel.announce,
      fundingTxidHex: txidToHex(channel.fundingOutpoint.txid),
      fundingOutputIndex: channel.fundingOutpoint.index,
      confirmedHeight: channel.fundingConfirmed?.height,
      addresses: channel.addresses.map(addressText),
    })),
  };
}

function addressText({ host, port }: BackedUpChannel['addresses'][number]): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function describeBackup(backup: ChannelBackup): string {
  const { network, nodeId, createdAtMs, height, birthHeight, omitted, channels } = backup;
  const capacitySat = channels.reduce((sum, { fundingSat }) => sum + fundingSat, 0n);
  return [
    `node       ${bytesToHex(nodeId)} on ${network}: the words fit`,
    `channels   as they were at ${formatTime(createdAtMs)} (UTC), block ${height}`,
    ...(birthHeight === undefined ? [] : [`wallet     began at block ${birthHeight}`]),
    `in it      ${countOf(channels.length)}, ${formatSat(capacitySat)} in all; how much of that is yours only peers know`,
    ...(omitted === 0 ? [] : [`missing    ${countOf(omitted)} had no room in it: look for a larger backup`]),
    ...(channels.length === 0 ? [] : ['', tableOf(channels)]),
  ].join('\n');
}

function tableOf(channels: readonly BackedUpChannel[]): string {
  return formatTable(
    ['CHANNEL', 'PEER', '>CAPACITY', 'TYPE', '>BLOCK', 'ADDRESS'],
    channels.map(({ fundingOutpoint, remoteNodeId, fundingSat, format, fundingConfirmed, addresses }) => [
      shortId(bytesToHex(channelIdOf(fundingOutpoint))),
      shortId(bytesToHex(remoteNodeId)),
      formatSat(fundingSat),
      format.commitment,
      fundingConfirmed === undefined ? '-' : String(fundingConfirmed.height),
      printable(addresses.map(addressText).join(' ')),
    ]),
  );
}
