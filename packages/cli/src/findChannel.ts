import type { ChannelInfo, RivuletClient } from '@rivulet/sdk';
import { CliError, usageError } from './cliError.js';

/** What an argument that names a channel may be, for help texts. */
export const channelArgument = 'its id, the first 8 digits of it or more, or its short channel id';

/** The one channel that is meant. @throws CliError */
export async function findChannel(client: RivuletClient, name: string): Promise<ChannelInfo> {
  checkChannelName(name);
  const { channels } = await client.channels();
  return pickChannel(channels, name);
}

/** @throws CliError for what can be the name of no channel. */
export function checkChannelName(name: string): void {
  if (/^([0-9a-f]{8,64}|\d+x\d+x\d+)$/i.test(name)) return;
  throw usageError(
    `${JSON.stringify(name.slice(0, 80))} names no channel: give its id, at least eight digits of it, or its short channel id, such as 103x1x0`,
  );
}

/** @throws CliError where no channel or several are meant. */
export function pickChannel(channels: readonly ChannelInfo[], name: string): ChannelInfo {
  const wanted = name.toLowerCase();
  const found = channels.filter(
    ({ channelId, shortChannelId }) => shortChannelId === wanted || channelId.startsWith(wanted),
  );
  const [first] = found;
  if (first === undefined) {
    throw new CliError(
      'channel_not_found',
      `there is no channel ${wanted}; list them with: rivulet channels`,
    );
  }
  if (found.length > 1) throw usageError(`${found.length} channels start with ${wanted}: give more digits`);
  return first;
}
