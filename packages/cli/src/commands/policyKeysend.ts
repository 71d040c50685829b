import type { PolicySettings } from '@rivulet/keysend/policy';
import type { ResponseOf, RivuletClient } from '@rivulet/sdk';
import type { Command } from 'commander';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { checkChannelName, pickChannel } from '../findChannel.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { printAnswer } from '../output.js';
import { readJsonFile } from '../textFile.js';
import { changedLists, changedPolicy, type PolicyEntry, type PolicyFlags } from './policyChange.js';
import { describePolicy } from './policyText.js';
import { allOptions, examples } from './registerCommand.js';

const fileHelp = `
A policy is JSON; what is absent limits nothing. Amounts are digits of millisatoshi:
  {"version": 1, "minimumMsat": "10000", "minimumWithMessageMsat": "100000",
   "channelRate": {"payments": 60, "perSeconds": 60}, "totalRate": {"payments": 600, "perSeconds": 60},
   "message": {"maxLength": 500, "links": "refuse", "refuseWords": ["casino*"], "holdWords": []},
   "signature": "required", "allow": {"senders": [], "names": [], "channels": []}, "deny": {…},
   "hold": {"seconds": 3600, "aboveMsat": "1000000000", "unknownSenders": true, "maximum": 50, "maximumPerChannel": 10}}`;

/** Adds `policy keysend`: which keysends are taken. */
export function registerKeysendPolicy(policy: Command, context: CliContext): void {
  const keysend = policy
    .command('keysend')
    .description('show which keysends are taken, and what became of those that came since the start')
    .addHelpText('after', examples('rivulet policy keysend', 'rivulet policy keysend set --minimum 10'))
    .action(async (_, command) => {
      const options = allOptions<GlobalOptions>(command);
      await withDaemon(context, options, async (client) => {
        await printPolicy(context, { options, client, answer: await client.keysendPolicy() });
      });
    });

  keysend
    .command('set')
    .description('replace the policy by that of a file, or change single settings of it, from now on')
    .argument('[file]', 'JSON; - for what is piped in')
    .option('--minimum <sats>', 'refuse smaller ones; none for no limit')
    .option('--minimum-with-message <sats>', 'refuse smaller ones that say something')
    .option('--rate <payments/seconds>', 'of all together, such as 600/60 or 1000/1h')
    .option('--channel-rate <payments/seconds>', 'of each channel that they come by')
    .option('--max-message <characters>', 'refuse longer messages; none for no limit')
    .option('--links <what>', 'messages with a link: allow, hold or refuse')
    .option('--require-signature', 'refuse those whose sender does not prove who it is')
    .option('--no-require-signature', 'take them again; a wrong signature is refused all the same')
    .option('--hold-above <sats>', 'hold larger ones until you decide: rivulet policy held')
    .option('--hold-unknown', 'hold those of senders that are in no list of allowed ones')
    .option('--no-hold-unknown', 'hold them no more')
    .option('--hold-seconds <seconds>', 'how long they are held before they go back: 14400 at most')
    .option('--clear', 'begin with no limits at all')
    .addHelpText('after', fileHelp)
    .addHelpText(
      'after',
      examples(
        'rivulet policy keysend set --minimum 10 --minimum-with-message 100 --links refuse',
        'rivulet policy keysend set --channel-rate 60/60 --rate 600/60',
        'rivulet policy keysend set --hold-above 1,000,000 --hold-seconds 3600',
        'rivulet policy keysend set policy.json',
        'rivulet policy keysend set --clear',
      ),
    )
    .action(async (file: string | undefined, _, command) => {
      const options = allOptions<GlobalOptions & PolicyFlags>(command);
      const isChange = hasFlags(options);
      if (file !== undefined && isChange) throw usageError('give a file or single settings, not both');
      if (file === undefined && !isChange) {
        throw usageError('say what to set: a file, or settings such as --minimum 10');
      }
      const given = file === undefined ? undefined : readPolicy(file);
      await withDaemon(context, options, (client) =>
        setPolicy(context, {
          options,
          client,
          isWhole: given !== undefined || options.clear === true,
          change: (before) => given ?? changedPolicy(before, options),
        }),
      );
    });

  for (const [list, description] of [
    ['allow', 'let a sender, a name or a channel in, past the rules of amounts, words and holding'],
    ['deny', 'take nothing of a sender, a name or a channel'],
  ] as const) {
    keysend
      .command(list)
      .description(description)
      .argument('<who>', 'a node id (of senders that prove theirs), a name as senders say it, or a channel')
      .option('--name', 'it is a name, though it looks like an id')
      .option('--remove', 'take it out of the list again')
      .addHelpText(
        'after',
        examples(
          `rivulet policy keysend ${list} 103x1x0`,
          `rivulet policy keysend ${list} "Satoshi N" --remove`,
        ),
      )
      .action(async (who: string, _, command) => {
        const options = allOptions<GlobalOptions & { name?: boolean; remove?: boolean }>(command);
        const { remove = false } = options;
        await withDaemon(context, options, async (client) => {
          const entry = await entryOf(client, { who, isName: options.name === true });
          await setPolicy(context, {
            options,
            client,
            isWhole: false,
            change: (before) => {
              if (remove && before[list]?.[entry.list]?.includes(entry.value) !== true) {
                throw usageError(`${JSON.stringify(who.slice(0, 80))} is not in that list`);
              }
              return changedLists(before, { list, entry, remove });
            },
          });
        });
      });
  }
}

function hasFlags(flags: PolicyFlags): boolean {
  const { clear, minimum, minimumWithMessage, rate, channelRate, maxMessage, links } = flags;
  const { requireSignature, holdAbove, holdUnknown, holdSeconds } = flags;
  return [
    ...[clear, minimum, minimumWithMessage, rate, channelRate, maxMessage, links],
    ...[requireSignature, holdAbove, holdUnknown, holdSeconds],
  ].some((flag) => flag !== undefined);
}

async function setPolicy(
  context: CliContext,
  given: {
    options: GlobalOptions;
    client: RivuletClient;
    /** Nothing of the settings before is left. */
    isWhole: boolean;
    change: (before: PolicySettings) => Record<string, unknown>;
  },
): Promise<void> {
  const { options, client, change } = given;
  const call = { signal: context.signal };
  // One that is replaced as a whole may be one that the daemon cannot read.
  const before = given.isWhole ? { version: 1 } : (await client.keysendPolicy({}, call)).policy;
  const answer = await client.setKeysendPolicy({ policy: change(before as PolicySettings) }, call);
  await printPolicy(context, { options, client, answer });
}

async function printPolicy(
  context: CliContext,
  given: { options: GlobalOptions; client: RivuletClient; answer: ResponseOf<'keysendPolicy'> },
): Promise<void> {
  const { options, client, answer } = given;
  const accepts = options.json === true || (await client.info()).keysend.accept;
  printAnswer(context, {
    options,
    endpoint: 'keysendPolicy',
    answer,
    text: (policy) => describePolicy(policy, { accepts }),
  });
}

function readPolicy(file: string): Record<string, unknown> {
  const json = readJsonFile(file, { stdin: true });
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw usageError(`${file} is no policy: it has to be a JSON object`);
}

async function entryOf(
  client: RivuletClient,
  { who, isName }: { who: string; isName: boolean },
): Promise<PolicyEntry> {
  if (isName || !/^([0-9a-f]{8,}|\d+x\d+x\d+)$/i.test(who)) {
    if (who.trim() === '' || who.length > 200) throw usageError('a name has 1 to 200 characters');
    return { list: 'names', value: who };
  }
  if (/^[0-9a-f]{65,}$/i.test(who)) return { list: 'senders', value: parseNodeId(who) };
  // One in full need not be there any more.
  if (/^[0-9a-f]{64}$/i.test(who)) return { list: 'channels', value: who.toLowerCase() };
  checkChannelName(who);
  const { channels } = await client.channels();
  return { list: 'channels', value: pickChannel(channels, who).channelId };
}
