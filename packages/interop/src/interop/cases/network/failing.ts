import type { PaymentError } from '@rivulet/node';
import type { LdkEvent } from '../../../ldk/ldkTypes.js';
import type { Network } from '../../network.js';
import { RivuletHere } from '../../rivuletHere.js';
import { expectSame, expectThat, InteropError } from '../../waitUntil.js';

/** What the sender of a payment that failed is told, in a line. */
export async function ourFailure(network: Network, attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (failure: PaymentError) => failure,
  );
  if (error === undefined) throw new InteropError('interop_unexpected', 'the payment succeeded');
  const { cause, node, channel } = error.details ?? {};
  const name = network.stations.find(({ nodeId }) => nodeId === node)?.name ?? node;
  const parts = [error.code, cause, name && `at ${name}`, channel && (await nameChannel(network, channel))];
  return parts.filter((part) => part !== undefined).join(', ');
}

async function nameChannel(network: Network, channel: string): Promise<string | undefined> {
  const [shortChannelId] = channel.split('/');
  return nameOfChannel(network, BigInt(shortChannelId!));
}

async function nameOfChannel(network: Network, shortChannelId: bigint): Promise<string> {
  for (const ends of (await network.channels()).values()) {
    if (ends.some((end) => end[1].shortChannelId === shortChannelId))
      return ends.map(([name]) => name).join('-');
  }
  return 'a channel without a public name';
}

type PathFailed = Extract<LdkEvent, { type: 'paymentPathFailed' }>;

/** What an LDK node that sent makes of our failure, in a line: what it says of each attempt, and of the payment. */
export async function ldkFailure(network: Network, from: string, attempt: Promise<unknown>): Promise<string> {
  const { log } = network.ldk(from).ldk;
  const before = log.eventsOf('paymentPathFailed').length;
  const error = await attempt.then(
    () => undefined,
    (failure: Error) => failure,
  );
  if (error === undefined) throw new InteropError('interop_unexpected', 'the payment succeeded');
  const paths = log.eventsOf('paymentPathFailed').slice(before);
  const told = await Promise.all(paths.map((path) => tellPath(network, path)));
  const reason = error.message.replace('LDK gave the payment up: ', '');
  return [await lastCode(network, from), ...told, reason].join('; ');
}

/** The last failure that an LDK node could read, which it tells in its log alone. */
async function lastCode(network: Network, name: string): Promise<string> {
  const line = (await network.ldk(name).ldk.logLines()).findLast((text) => text.includes('Onion Error['));
  const [, nodeId, code] = /from ([0-9a-f]+): (\w+)\(/.exec(line ?? '') ?? [];
  const by = network.stations.find((station) => station.nodeId === nodeId)?.name;
  return `${code} from ${by}`;
}

async function tellPath(
  network: Network,
  { permanent, shortChannelId, networkUpdate }: PathFailed,
): Promise<string> {
  const parts = [permanent ? 'rejected for good' : 'to be tried again'];
  if (shortChannelId !== undefined) parts.push(`at ${await nameOfChannel(network, shortChannelId)}`);
  if (networkUpdate !== undefined) {
    parts.push(`the ${networkUpdate.kind} failed ${networkUpdate.permanent ? 'for good' : 'for now'}`);
  }
  return parts.join(', ');
}

/** How often a connection of ours ended so far. */
export function disconnections(network: Network): number {
  return network.stations
    .filter(({ kind }) => kind === 'us')
    .flatMap(({ name }) => network.us(name).rivulet.events)
    .filter(({ type }) => type === 'peer_disconnected').length;
}

/**
 * Runs what fails, and checks what its sender is told, that nobody has more or less than before, that no connection
 * ended of it, and that the same channels still carry payments.
 */
export async function expectFailure(
  network: Network,
  { attempt, told }: { attempt: () => Promise<string>; told: string },
): Promise<void> {
  const before = await network.funds();
  const ended = disconnections(network);
  expectSame(await attempt(), told, 'what the sender is told');
  await network.expectMoved(before, {});
  expectSame(disconnections(network) - ended, 0, 'connections that ended');
}

/** A Rivulet in this process, for what its API does not do. */
export function here(network: Network, name: string): RivuletHere {
  const { rivulet } = network.us(name);
  expectThat(rivulet instanceof RivuletHere, `${name} runs in this process`);
  return rivulet as RivuletHere;
}
