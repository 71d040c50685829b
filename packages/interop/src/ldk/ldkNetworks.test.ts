import { afterEach, test } from 'vitest';
import { InteropChain } from './interopChain.js';
import { LdkNode } from './ldkNode.js';
import {
  gossipReachesAll,
  invoiceOverTwoHops,
  keysendOverTwoHops,
  middleKilled,
  middleWithoutLiquidity,
  partsOverTheMiddle,
} from './scenarios/ldkNetworks.js';
import type { Scenario } from './scenarios/scenario.js';

let nodes: LdkNode[] = [];

afterEach(async () => {
  for (const node of nodes) await node.stop();
  nodes = [];
});

const scenarios: readonly Scenario[] = [
  gossipReachesAll,
  keysendOverTwoHops,
  invoiceOverTwoHops,
  partsOverTheMiddle,
  middleWithoutLiquidity,
  middleKilled,
];

test.each(scenarios)('three LDK nodes: $name', async (scenario) => {
  const chain = new InteropChain();
  await scenario.run({
    chain,
    channelType: 'anchors',
    async startLdk(options) {
      const seed = new Uint8Array(32).fill(nodes.length + 1);
      const node = await LdkNode.start({ options: { seed, ...options }, chain: chain.ldk, fund: chain.fund });
      nodes.push(node);
      return node;
    },
  });
});
