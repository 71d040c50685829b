import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initCrypto } from '@rivulet/core/crypto';
import { InteropChain } from './interopChain.js';
import { LdkNode } from './ldkNode.js';
import type { LdkPeer } from './ldkPeer.js';
import { LdkProcess } from './ldkProcess.js';
import {
  cooperativeClose,
  forceCloseByReceiver,
  forceCloseBySender,
  reorganisation,
} from './scenarios/ldkCloses.js';
import {
  gossipReachesAll,
  invoiceOverTwoHops,
  keysendOverTwoHops,
  middleKilled,
  middleWithoutLiquidity,
  partsOverTheMiddle,
} from './scenarios/ldkNetworks.js';
import { feeUpdate, holdAndFail, keysendBothWays, killedInTheMiddle } from './scenarios/ldkPayments.js';
import type { Scenario, StartLdk } from './scenarios/scenario.js';

/** LDK against LDK: what fails here fails on the side of the test peer, not on Rivulet's. */
const scenarios: readonly Scenario[] = [
  keysendBothWays,
  holdAndFail,
  feeUpdate,
  killedInTheMiddle,
  reorganisation,
  cooperativeClose,
  forceCloseBySender,
  forceCloseByReceiver,
  gossipReachesAll,
  keysendOverTwoHops,
  invoiceOverTwoHops,
  partsOverTheMiddle,
  middleWithoutLiquidity,
  middleKilled,
];

async function runScenario(
  scenario: Scenario,
  where: 'process' | 'here',
  channelType: 'anchors' | 'static_remotekey',
) {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-ldk-'));
  const chain = new InteropChain();
  const peers: LdkPeer[] = [];
  const startLdk: StartLdk = async (options) => {
    const seed = new Uint8Array(32).fill(peers.length + 1);
    const dataDir = join(folder, String(peers.length));
    const context = { options: { seed, dataDir, ...options }, chain: chain.ldk, fund: chain.fund };
    const peer = where === 'process' ? await LdkProcess.start(context) : await LdkNode.start(context);
    peers.push(peer);
    return peer;
  };
  try {
    await scenario.run({ chain, startLdk, channelType });
  } finally {
    for (const peer of peers) await peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(filter: string): Promise<void> {
  await initCrypto();
  let failures = 0;
  for (const channelType of ['anchors', 'static_remotekey'] as const) {
    for (const where of ['here', 'process'] as const) {
      for (const scenario of scenarios) {
        const name = `${channelType}, ${where === 'here' ? 'in this process' : 'in processes'}: ${scenario.name}`;
        if (!name.includes(filter)) continue;
        const begin = performance.now();
        try {
          await runScenario(scenario, where, channelType);
          console.log(`ok    ${name} (${Math.round(performance.now() - begin)} ms)`);
        } catch (error) {
          failures++;
          console.log(`FAIL  ${name}\n${error instanceof Error ? error.stack : String(error)}`);
        }
      }
    }
  }
  if (failures > 0) process.exitCode = 1;
}

await main(process.argv[2] ?? '');
