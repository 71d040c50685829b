import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { networks } from '@rivulet/chain';
import { printJson, printMachine } from '../benchOutput.js';
import { readGraphFile } from '../paths/benchGraph.js';
import { keyGraph } from '../paths/keyedGraph.js';
import { createSyntheticGraph } from '../paths/syntheticGraph.js';
import { positiveArgument } from '../positiveArgument.js';
import { createNetworkMessages } from './networkMessages.js';
import { type MessageSpeed, measureSignatures, type SignatureSpeed } from './signatureSpeed.js';
import { measureSync, type SyncSpeed } from './syncSpeed.js';

export interface GossipArguments {
  /** A file has its own number. */
  readonly channels: number;
  readonly graphFile: string | undefined;
  readonly seed: number;
  readonly profileDir: string | undefined;
  readonly json: boolean;
}

export const gossipUsage = `npm run bench -- gossip [options]
  --channels N         of a network that is drawn and signed (default 10000; the public one has 50000)
  --graph FILE         that network instead: see paths
  --seed N             of the network that is drawn (default 1)
  --profile FOLDER     both processes leave a CPU profile there
  --json               results as JSON`;

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseGossipArguments(args: readonly string[]): GossipArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      channels: { type: 'string', default: '10000' },
      graph: { type: 'string' },
      seed: { type: 'string', default: '1' },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    channels: positiveArgument('channels', values.channels),
    graphFile: values.graph,
    seed: positiveArgument('seed', values.seed),
    profileDir: values.profile,
    json: values.json,
  };
}

/** In a block of the generated chain. */
const channelsPerBlock = 100;
/** The public network's. */
const nodesPerChannel = 17_324 / 50_808;

function formatSpeed(name: string, speed: MessageSpeed): string {
  const { messages, messagesPerSecond, signaturesPerSecond } = speed;
  return (
    `  ${name.padEnd(22)}${String(messages).padStart(8)}${messagesPerSecond.toFixed(0).padStart(12)}/s` +
    `${signaturesPerSecond.toFixed(0).padStart(12)} signatures/s`
  );
}

function formatGossip(signatures: SignatureSpeed, sync: SyncSpeed): string {
  const seconds = sync.elapsedMs / 1000;
  const { server, learner } = sync.cpuMs;
  return [
    'Messages checked by one thread, from bytes to verdict',
    formatSpeed('channel_announcement', signatures.channelAnnouncements),
    formatSpeed('channel_update', signatures.channelUpdates),
    formatSpeed('node_announcement', signatures.nodeAnnouncements),
    '',
    `The whole network from one peer: ${seconds.toFixed(1)} s, ${(sync.channels / seconds).toFixed(0)} channels/s`,
    `  known then: ${sync.channels} channels, ${sync.channelsWithTerms} with the terms of both ends, ${sync.nodes} nodes`,
    `  CPU s: peer ${(server / 1000).toFixed(1)}, learner ${(learner / 1000).toFixed(1)}; ` +
      `RSS MB ${(sync.rssBytes.server / 1e6).toFixed(0)} + ${(sync.rssBytes.learner / 1e6).toFixed(0)}; ` +
      `stored MB ${(sync.storedBytes / 1e6).toFixed(1)}`,
    `  the peer started with that network on its disk in ${(sync.serverStartMs / 1000).toFixed(2)} s`,
  ].join('\n');
}

/** How fast gossip is checked, and a whole network learned. */
export async function runGossipBench(args: GossipArguments): Promise<void> {
  if (args.profileDir !== undefined) mkdirSync(args.profileDir, { recursive: true });
  const machine = await printMachine(
    args,
    'Two nodes, each its own process, loopback TCP, gossip on disk; funding outputs are not looked up.',
  );
  const { chainHash } = networks.regtest;
  const shape =
    args.graphFile === undefined
      ? createSyntheticGraph({
          seed: args.seed,
          channels: args.channels,
          nodes: Math.max(2, Math.round(args.channels * nodesPerChannel)),
        })
      : readGraphFile(args.graphFile);
  const graph = keyGraph(shape, { firstBlock: 1, channelsPerBlock });
  // An hour old: fresh enough not to be pruned, and not of the future.
  const timestamp = Math.floor(Date.now() / 1000) - 3600;
  const network = createNetworkMessages(graph, { chainHash, timestamp, signed: true });
  if (!args.json) {
    console.log(`\n${graph.origin}: ${graph.channels.length} channels, ${graph.nodeIds.length} nodes`);
  }
  const signatures = measureSignatures(network, chainHash);
  const blocks = Math.ceil(graph.channels.length / channelsPerBlock) + 10;
  const sync = await measureSync(network, { blocks, profileDir: args.profileDir });
  if (args.json) printJson({ machine, origin: graph.origin, signatures, sync });
  else console.log(formatGossip(signatures, sync));
}
