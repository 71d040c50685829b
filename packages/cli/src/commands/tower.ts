import type { TowerReady } from '@rivulet/node';
import { configKeys, loadConfig } from '@rivulet/node/config';
import type { ResponseOf, TowerInfo } from '@rivulet/sdk';
import { Option } from 'commander';
import { type CliContext, untilAborted } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatBlocks } from '../format/number.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';
import { printAnswer, printJson, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const exampleTower = `tower.example:9814/02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619`;

/** `rivulet tower`: a watchtower for others; `rivulet towers`: those that watch for us. */
export const registerTower: RegisterCommand = (program, context) => {
  registerServer(program, context);
  const towers = program
    .command('towers')
    .description('watchtowers: they punish a peer that cheats while this node is away')
    .addHelpText('after', examples(`rivulet towers add ${exampleTower}`, 'rivulet towers status'));

  towers
    .command('add')
    .description('have a tower watch every channel, from now on')
    .argument('<tower>', 'HOST:PORT/ID, as its operator gives it')
    .addHelpText('after', examples(`rivulet towers add ${exampleTower}`))
    .action(async (uri: string, _, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const work = client.addTower({ uri }, { signal: context.signal });
        const answer = await withProgress(context, { what: 'registering', options, work });
        const text = (tower: TowerInfo) =>
          `tower ${shortId(tower.towerId)} watches from now on, for ${formatBlocks(tower.subscription.blocksLeft)}`;
        printAnswer(context, { options, endpoint: 'addTower', answer, text });
      });
    });

  towers
    .command('remove')
    .description('tell a tower nothing more; what it was told it keeps')
    .argument('<tower>', 'its id, or the first digits of it')
    .addHelpText('after', examples('rivulet towers remove 02eec7245d'))
    .action(async (name: string, _, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const { towers: known } = await client.towers({}, { signal: context.signal });
        const { towerId } = pickTower(known, name);
        const answer = await client.removeTower({ towerId }, { signal: context.signal });
        const text = () => `tower ${shortId(towerId)} hears of nothing more`;
        printAnswer(context, { options, endpoint: 'removeTower', answer, text });
      });
    });

  for (const [name, description, text] of [
    ['list', 'the towers, and whether they know all that they should', describeList],
    ['status', 'how far each tower is with each channel', describeStatus],
  ] as const) {
    towers
      .command(name)
      .description(description)
      .addHelpText('after', examples(`rivulet towers ${name}`))
      .action(async (_, command) => {
        const options = allOptions(command);
        await withDaemon(context, options, async (client) => {
          const answer = await client.towers({}, { signal: context.signal });
          printAnswer(context, { options, endpoint: 'towers', answer, text });
        });
      });
  }
};

/** @throws CliError where no tower, or more than one, begins so. */
function pickTower(towers: readonly TowerInfo[], name: string): TowerInfo {
  const wanted = name.toLowerCase();
  if (!/^[0-9a-f]{4,66}$/.test(wanted)) {
    throw usageError(
      `a tower is named by its id, or by at least 4 of its first digits, not ${JSON.stringify(name)}`,
    );
  }
  const found = towers.filter(({ towerId }) => towerId.startsWith(wanted));
  if (found.length === 1) return found[0] as TowerInfo;
  const message =
    found.length === 0 ? `there is no tower ${name}` : `more than one tower begins with ${name}`;
  throw new CliError('tower_not_found', `${message}; \`rivulet towers list\` lists them`);
}

function describeList({ towers }: ResponseOf<'towers'>): string {
  if (towers.length === 0) return 'no tower watches: rivulet towers add HOST:PORT/ID';
  return formatTable(
    ['TOWER', 'ADDRESS', 'STATE', '>WAITS', '>SLOTS', 'SUBSCRIBED FOR', 'LAST CONTACT'],
    towers.map(({ towerId, url, state, subscription, lastContactMs, channels }) => [
      shortId(towerId),
      shorten(printable(url)),
      state,
      String(channels.reduce((sum, { queued }) => sum + queued, 0)),
      String(subscription.slotsLeft),
      formatBlocks(subscription.blocksLeft),
      lastContactMs === undefined ? 'none since the start' : formatTime(lastContactMs),
    ]),
  );
}

function describeStatus({ towers }: ResponseOf<'towers'>): string {
  if (towers.length === 0) return describeList({ towers });
  return towers.map(describeTower).join('\n\n');
}

function describeTower(tower: TowerInfo): string {
  const { towerId, url, state, lastError, subscription, channels, proofs } = tower;
  const { subscriptions, slotsLeft, blocksLeft, expiryHeight } = subscription;
  return [
    `tower ${towerId}`,
    `  ${printable(url)}: ${state}`,
    `  ${subscriptions} subscriptions, the last until block ${expiryHeight} (${formatBlocks(blocksLeft)}), ` +
      `${slotsLeft} slots left`,
    ...(lastError === undefined ? [] : [`  ${formatTime(lastError.atMs)} ${printable(lastError.message)}`]),
    ...proofs.map(({ what, atMs }) => `  ${formatTime(atMs)} broke its word: ${printable(what)}`),
    ...channels.map((channel) => `  channel ${shortId(channel.channelId)}: ${describeChannel(channel)}`),
  ].join('\n');
}

function describeChannel(channel: TowerInfo['channels'][number]): string {
  const { fromCommitment, coveredTo, revokedTo, queued, queuedSinceMs, refused, refusal, missed } = channel;
  const parts = [
    coveredTo === undefined
      ? `watches nothing yet (from state ${fromCommitment} on)`
      : `watches states ${fromCommitment} to ${coveredTo} of ${revokedTo ?? coveredTo} that are revoked`,
  ];
  if (queued > 0) {
    const since = queuedSinceMs === undefined ? '' : ` since ${formatTime(queuedSinceMs)}`;
    parts.push(`${queued} wait${since}`);
  }
  if (refused > 0) parts.push(`${refused} refused (${printable(refusal ?? 'no reason')})`);
  if (missed > 0) parts.push(`${missed} never told: too many waited`);
  return parts.join('; ');
}

/** The settings that a tower has in common with a daemon. */
const towerSettings = configKeys.filter(
  ({ key }) =>
    key === 'network' ||
    key === 'logLevel' ||
    key === 'iUnderstandTheRisk' ||
    key.startsWith('chain.') ||
    (key.startsWith('tower.') && key !== 'tower.enabled' && key !== 'tower.host' && key !== 'tower.port'),
);

const registerServer: RegisterCommand = (program, context) => {
  const tower = program
    .command('tower')
    .description('run a watchtower for others in the foreground, without a node, until Ctrl-C')
    .option('--listen <host:port>', 'where its users connect (default: 127.0.0.1:9814)')
    .addHelpText(
      'after',
      `\nA daemon runs one beside its node with --tower-enabled; only that one pays to hasten penalties.\n${examples(
        'rivulet tower --data-dir ~/tower --listen 0.0.0.0:9814 --network signet --chain-type esplora --chain-url https://mempool.space/signet/api',
      )}`,
    );
  const names = new Map<string, string>();
  for (const { key, flag, description, isBoolean, defaultText } of towerSettings) {
    const shown = defaultText === undefined ? description : `${description} (default: ${defaultText})`;
    const option = new Option(`${flag} ${isBoolean ? '[true|false]' : '<value>'}`, shown);
    names.set(option.attributeName(), key);
    tower.addOption(option);
  }
  tower.action(async (_, command) => {
    const options = allOptions<Record<string, string | boolean | undefined>>(command);
    const flags: Record<string, string | boolean | undefined> = { dataDir: options.dataDir };
    for (const [name, key] of names) flags[key] = options[name];
    if (typeof options.listen === 'string') Object.assign(flags, parseListen(options.listen));
    const config = loadConfig({ flags, env: context.env, homeDir: context.homeDir });
    await serveTower(context, { config, json: options.json === true });
  });
};

function parseListen(text: string): Record<'tower.host' | 'tower.port', string> {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (host !== undefined && port !== undefined && Number(port) <= 65_535) {
    return { 'tower.host': host.replace(/^\[(.*)\]$/, '$1'), 'tower.port': port };
  }
  throw usageError(`--listen wants host:port, not ${JSON.stringify(text)}`);
}

async function serveTower(
  context: CliContext,
  { config, json }: { config: ReturnType<typeof loadConfig>; json: boolean },
): Promise<void> {
  // Loaded when needed: most commands have no tower inside.
  const { runTower } = await import('@rivulet/node');
  const options = { json };
  const running = await withProgress(context, {
    what: 'starting',
    options,
    work: runTower({
      config,
      onReady: (ready) => {
        if (json) printJson(context, ready);
        else context.out(describeReady(ready));
      },
    }),
  });
  await untilAborted(context.signal);
  await withProgress(context, { what: 'stopping', options, work: running.stop() });
  if (!json) context.err('stopped\n');
}

function describeReady({ towerId, host, port, dataDir }: TowerReady): string {
  const address = host.includes(':') ? `[${host}]` : host;
  return [
    `tower id  ${towerId}`,
    `users     rivulet towers add ${address}:${port}/${towerId}`,
    `Keep a copy of tower.key in ${dataDir}: it is the tower's name.`,
    'ready; end with Ctrl-C\n',
  ].join('\n');
}
