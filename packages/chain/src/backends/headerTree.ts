import { type BlockHeader, blockHash } from '../block.js';
import { ChainError } from '../chainError.js';
import type { Network } from '../network.js';
import { isAllowedChange, proofOfWorkFault, workOfBits } from '../proofOfWork.js';
import { hashToHex } from '../regtest/preparedTransaction.js';

/** A header whose proof of work and whose place behind its parent were checked. */
export interface HeaderNode {
  readonly hash: Uint8Array;
  readonly height: number;
  readonly header: BlockHeader;
  /** All work up to this block, counted from wherever the tree began: for comparisons alone. */
  readonly work: bigint;
  /** `undefined` at the root. */
  previous: HeaderNode | undefined;
}

/** When the best chain is longer than this, what is deeper than `keptDepth` is forgotten. */
const longest = 4096;
const keptDepth = 2048;

function refuse(height: number, fault: string): never {
  throw new ChainError('chain_invalid_data', `its header of height ${height} is not valid: ${fault}`);
}

/** The headers of the last blocks, of all branches that were seen, each with the work behind it. */
export class HeaderTree {
  readonly #network: Network;
  readonly #nodes = new Map<string, HeaderNode>();
  #root: HeaderNode | undefined;
  /** From the root to the tip of the chain that is followed. */
  #active: HeaderNode[] = [];

  constructor(network: Network) {
    this.#network = network;
  }

  get root(): HeaderNode | undefined {
    return this.#root;
  }

  /** The tip of the chain that is followed. */
  get best(): HeaderNode | undefined {
    return this.#active.at(-1);
  }

  get(hash: Uint8Array): HeaderNode | undefined {
    return this.#nodes.get(hashToHex(hash));
  }

  /** The block at a height of the chain that is followed, as far as the tree has it. */
  activeAt(height: number): HeaderNode | undefined {
    return this.#root === undefined ? undefined : this.#active[height - this.#root.height];
  }

  isActive(node: HeaderNode): boolean {
    return this.activeAt(node.height) === node;
  }

  /** Begins the tree, or extends it by the parent of its root. @throws ChainError `chain_invalid_data` */
  addRoot(header: BlockHeader, height: number): HeaderNode {
    const hash = blockHash(header);
    const fault = proofOfWorkFault(header, { network: this.#network, height, hash });
    if (fault !== undefined) refuse(height, fault);
    const child = this.#root;
    if (child !== undefined)
      this.#checkChild({ previousBits: header.bits, child: child.header, height: height + 1 });
    const work = child === undefined ? 0n : child.work - workOfBits(child.header.bits);
    const node: HeaderNode = { hash, height, header, work, previous: undefined };
    if (child !== undefined) child.previous = node;
    this.#nodes.set(hashToHex(hash), node);
    this.#root = node;
    this.#active.unshift(node);
    return node;
  }

  /** Adds the child of a block that is there; one that is there itself stays. @throws ChainError `chain_invalid_data` */
  add(header: BlockHeader): HeaderNode {
    const previous = this.get(header.previousHash);
    if (previous === undefined) throw new ChainError('chain_invalid_data', 'its header has no known parent');
    const height = previous.height + 1;
    const hash = blockHash(header);
    const known = this.get(hash);
    if (known !== undefined) return known;
    const fault = proofOfWorkFault(header, { network: this.#network, height, hash });
    if (fault !== undefined) refuse(height, fault);
    this.#checkChild({ previousBits: previous.header.bits, child: header, height });
    const work = previous.work + workOfBits(header.bits);
    const node: HeaderNode = { hash, height, header, work, previous };
    this.#nodes.set(hashToHex(hash), node);
    return node;
  }

  #checkChild(link: { previousBits: number; child: BlockHeader; height: number }): void {
    const { previousBits, child, height } = link;
    if (isAllowedChange({ network: this.#network, height, previousBits, bits: child.bits })) return;
    refuse(height, 'its difficulty does not follow from the block before');
  }

  /** Follows the chain that ends with this block. */
  follow(tip: HeaderNode): void {
    const root = this.#root as HeaderNode;
    const path: HeaderNode[] = [];
    for (
      let node: HeaderNode | undefined = tip;
      node !== undefined && !this.isActive(node);
      node = node.previous
    ) {
      path.push(node);
    }
    const forkHeight = tip.height - path.length;
    this.#active.length = Math.max(forkHeight - root.height + 1, 0);
    this.#active.push(...path.reverse());
    if (this.#active.length > longest) this.#forget(tip.height - keptDepth);
  }

  #forget(below: number): void {
    const { height } = this.#root as HeaderNode;
    this.#active = this.#active.slice(below - height);
    const root = this.#active[0] as HeaderNode;
    root.previous = undefined;
    this.#root = root;
    const nodes = [...this.#nodes.values()].sort((a, b) => a.height - b.height);
    for (const node of nodes) {
      // A branch that began before the root has nothing that it hangs on any more.
      const hangs = node.previous !== undefined && this.#nodes.has(hashToHex(node.previous.hash));
      if (node !== root && (node.height <= root.height || !hangs)) this.#nodes.delete(hashToHex(node.hash));
    }
  }
}
