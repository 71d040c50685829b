import { describe, expect, test } from 'vitest';
import type { BlockHeader } from '../block.js';
import { mineHeader, regtestBits } from '../regtest/blockAssembly.js';
import { type HeaderNode, HeaderTree } from './headerTree.js';

function child(previousHash: Uint8Array, time: number): BlockHeader {
  return mineHeader({ version: 1, previousHash, merkleRoot: new Uint8Array(32), time, bits: regtestBits });
}

/** Adds headers on top of a node. */
function grow(
  tree: HeaderTree,
  from: HeaderNode,
  { count, time }: { count: number; time: number },
): HeaderNode {
  let node = from;
  for (let i = 0; i < count; i++) node = tree.add(child(node.hash, time + i));
  return node;
}

function plant(): { tree: HeaderTree; root: HeaderNode } {
  const tree = new HeaderTree('regtest');
  return { tree, root: tree.addRoot(child(new Uint8Array(32).fill(1), 1), 1000) };
}

describe('a tree of headers', () => {
  test('knows the blocks of the chain that is followed, and moves to another', () => {
    const { tree, root } = plant();
    const short = grow(tree, root, { count: 5, time: 100 });
    const long = grow(tree, root, { count: 6, time: 200 });
    tree.follow(short);
    expect(tree.best).toBe(short);
    expect(tree.activeAt(1005)).toBe(short);
    expect(tree.activeAt(1006)).toBeUndefined();
    expect(tree.activeAt(999)).toBeUndefined();
    expect(long.work - short.work).toBe(2n);
    tree.follow(long);
    expect(tree.isActive(short)).toBe(false);
    expect(tree.activeAt(1006)).toBe(long);
    expect(tree.activeAt(1000)).toBe(root);
    tree.follow(short);
    expect(tree.activeAt(1006)).toBeUndefined();
    expect(tree.best).toBe(short);
  });

  test('grows downwards without a change of what was compared', () => {
    const tree = new HeaderTree('regtest');
    const below = child(new Uint8Array(32).fill(1), 1);
    const first = new HeaderTree('regtest').addRoot(below, 1000);
    const root = tree.addRoot(child(first.hash, 2), 1001);
    const tip = grow(tree, root, { count: 3, time: 10 });
    tree.follow(tip);
    tree.addRoot(below, 1000);
    expect(tree.activeAt(1000)?.hash).toEqual(first.hash);
    expect(tree.activeAt(1004)).toBe(tip);
    const other = grow(tree, tree.root!, { count: 4, time: 50 });
    expect(other.work).toBe(tip.work);
  });

  test('refuses headers without a parent', () => {
    const { tree } = plant();
    expect(() => tree.add(child(new Uint8Array(32).fill(9), 5))).toThrow(/no known parent/);
  });

  test('forgets what lies far below, with the branches that began there', () => {
    const { tree, root } = plant();
    const early = grow(tree, root, { count: 3000, time: 10_000 });
    const late = grow(tree, root, { count: 4000, time: 1 });
    tree.follow(late);
    const fork = grow(tree, late, { count: 2, time: 50_000 });
    const tip = grow(tree, late, { count: 200, time: 20_000 });
    tree.follow(tip);
    expect(tree.root?.height).toBe(5200 - 2048);
    expect(tree.activeAt(5200)).toBe(tip);
    expect(tree.activeAt(tree.root!.height)).toBe(tree.root);
    expect(tree.get(early.hash)).toBeUndefined();
    expect(tree.get(root.hash)).toBeUndefined();
    expect(tree.get(fork.hash)).toBe(fork);
    tree.follow(fork);
    expect(tree.best).toBe(fork);
  });
});
