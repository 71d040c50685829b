import { startRegtest } from '@rivulet/chain';
import { expect, test } from 'vitest';
import { ChaosChain } from './chaosChain.js';

test('a reorganisation comes as one whole branch, one block longer, again and again', async () => {
  const regtest = await startRegtest();
  const chain = new ChaosChain(regtest);
  chain.mine({ blocks: 60 });
  const heights: number[] = [];
  regtest.chain.onTip(({ height }) => heights.push(height));
  const fork = regtest.chain.blockAt(10)?.hashHex;
  const old = regtest.chain.blockAt(11)?.hashHex;
  chain.reorganise({ depth: 50, empty: false });
  expect(chain.height).toBe(61);
  expect(heights).toEqual([61]);
  expect(regtest.chain.blockAt(10)?.hashHex).toBe(fork);
  expect(regtest.chain.blockAt(11)?.hashHex).not.toBe(old);
  chain.mine({ blocks: 2 });
  chain.reorganise({ depth: 1, empty: true });
  expect(chain.height).toBe(64);
  await regtest.stop();
});
