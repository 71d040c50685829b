import { embeddedBackend, RegtestChain } from '@rivulet/chain';
import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import { sha256 } from '@rivulet/core/crypto';
import { openMemoryStorage } from '@rivulet/storage';
import { expect, test } from 'vitest';
import { createLogger, silentLogger } from '../logging/logger.js';
import { RivuletNode } from './node.js';
import { defaultPaymentPolicy } from './paymentPolicy.js';

const logger = process.env.DEBUG_NODE ? createLogger({ level: 'debug', to: 'stderr' }) : silentLogger;

async function makeNode(chain: RegtestChain, name: string) {
  const seed = new Uint8Array(64).fill(name.length);
  const node = new RivuletNode({
    network: 'regtest',
    seed,
    storage: openMemoryStorage(),
    backend: embeddedBackend(chain),
    policy: {
      receive: { acceptKeysend: true, minAmountMsat: 1n },
      limits: defaultOpeningLimits,
      accept: defaultAcceptPolicy,
      maxDustExposureMsat: 50_000_000n,
      anchors: true,
      ...defaultPaymentPolicy,
    },
    logger: logger.child({ node: name }),
  });
  await node.start({ listen: { host: '127.0.0.1', port: 0 } });
  return node;
}

test('two nodes open a channel and push payments both ways', async () => {
  const chain = new RegtestChain({});
  const spring = await makeNode(chain, 'spring');
  const lake = await makeNode(chain, 'lake');
  const { script } = spring.wallet.newAddress();
  const blockSeen = () =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (spring.blockHeight === chain.tip.height && lake.blockHeight === chain.tip.height) {
          resolve();
        } else setImmediate(check);
      };
      check();
    });
  chain.mine({ blocks: 101, script });
  await blockSeen();
  const [address] = lake.listening;
  const peer = await spring.peers.connect({ nodeId: lake.nodeId, ...address! });
  const usable = (node: RivuletNode) =>
    new Promise<void>((resolve) => {
      node.on('channel', (channel) => {
        if (channel.phase.name === 'open' && channel.link === 'online') resolve();
      });
    });
  const both = Promise.all([usable(spring), usable(lake)]);
  await spring.openChannel({ peer, capacitySat: 1_000_000n, pushMsat: 100_000_000n });
  await new Promise((resolve) => setTimeout(resolve, 50));
  chain.mine({ blocks: 6 });
  await both;
  const paid = await spring.payments.outgoing.keysend({
    destination: hexToBytes(lake.nodeId),
    amountMsat: 1_000_000n,
    customRecords: new Map([[34349334n, utf8ToBytes('hello')]]),
  }).outcome;
  expect(paid.status).toBe('succeeded');
  expect(sha256(paid.preimage!)).toEqual(paid.paymentHash);
  const back = await lake.payments.outgoing.keysend({
    destination: hexToBytes(spring.nodeId),
    amountMsat: 5_000n,
    customRecords: new Map(),
  }).outcome;
  expect(back.status).toBe('succeeded');
  await spring.stop();
  await lake.stop();
}, 20000);
