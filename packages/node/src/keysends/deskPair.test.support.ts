import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { AuditLog, type AuditRecord } from '@rivulet/keysend/compliance';
import type { ReceivedBoost } from '@rivulet/keysend/receiving';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import type { NodeService } from '@rivulet/sdk';
import { StorageError } from '@rivulet/storage';
import { type Config, loadConfig } from '../config/index.js';
import { createService } from '../driver/index.js';
import { type Pair, startNode, type TestNode } from '../driver/pair.test.support.js';
import { silentLogger } from '../logging/index.js';
import { type Scheduler, systemScheduler } from '../peers/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { KeysendDesk } from './keysendDesk.js';
import { keysendPolicyService } from './policyService.js';

type Flags = Readonly<Record<string, string>>;

/** A file of the toolkit that can be told to fail. */
class FaultyToolkit {
  /** `opening`: it cannot be opened; `writing`: no transaction is stored. */
  fails: 'no' | 'opening' | 'writing' = 'no';
  opened: Toolkit | undefined;

  open(path: string): Toolkit {
    const diskFull = () => new StorageError('disk_full', 'no room on the disk (a test)');
    if (this.fails === 'opening') throw new StorageError('io', 'it cannot be opened (a test)');
    const toolkit = openToolkit({ path });
    const { store } = toolkit;
    this.opened = {
      ...toolkit,
      store: {
        ...store,
        transaction: (body) =>
          store.transaction((tx) => {
            const result = body(tx);
            if (this.fails === 'writing') throw diskFull();
            return result;
          }),
      },
    };
    return this.opened;
  }

  /** From here on every call fails, as after a fault of the disk. */
  die(): void {
    this.opened?.database.close();
  }
}

/** One of two nodes, with a desk as its daemon has one. */
export class DeskedNode {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'rivulet-desk-'));
  readonly file = new FaultyToolkit();
  /** Timers of the desk: what is due at once comes by itself, all else when a test lets time pass. */
  readonly timers = new ManualScheduler();
  desk!: KeysendDesk;
  service!: NodeService;
  readonly #pair: Pair;
  readonly #which: 'alice' | 'bob';
  readonly #config: Config;

  private constructor(pair: Pair, which: 'alice' | 'bob', flags: Flags) {
    this.#pair = pair;
    this.#which = which;
    this.#config = loadConfig({ flags: { dataDir: this.dataDir, 'keysend.accept': 'true', ...flags } });
  }

  static async of(pair: Pair, which: 'alice' | 'bob', flags: Flags = {}): Promise<DeskedNode> {
    const made = new DeskedNode(pair, which, flags);
    await pair[which].node.stop();
    await made.start();
    return made;
  }

  get #test(): TestNode {
    return this.#pair[this.#which];
  }

  get node() {
    return this.#test.node;
  }

  async start(): Promise<void> {
    const { timers } = this;
    const scheduler: Scheduler = {
      now: () => systemScheduler.now(),
      schedule: (delayMs, run) => (delayMs === 0 ? systemScheduler : timers).schedule(delayMs, run),
    };
    const desk = new KeysendDesk({
      config: this.#config,
      logger: silentLogger,
      scheduler,
      open: (path) => this.file.open(path),
    });
    this.desk = desk;
    const admission = { accepting: true, whyNoChannels: undefined, keysendPolicy: desk.policy };
    const { store } = this.#test;
    this.#pair[this.#which] = await startNode(this.#pair.chain, {
      seed: this.#which === 'alice' ? 1 : 2,
      store,
      settings: { admission },
    });
    const { node } = this;
    desk.attach(node);
    await this.#pair.caughtUp();
    await this.#pair.connect();
    await this.#pair.usable();
    const keysendPolicy = keysendPolicyService(desk.policy);
    this.service = createService({ node, alias: 'x', version: '0', keysendPolicy, onStop: () => {} });
    await desk.start(this.service);
  }

  /** The node goes on: its desk alone ends. */
  async stop(): Promise<void> {
    await this.desk.stop();
  }

  async restart(): Promise<void> {
    await this.desk.stop();
    await this.node.stop();
    await this.start();
  }

  /** What somebody else who opens the file finds there. */
  read<T>(look: (toolkit: Toolkit) => T): T {
    const toolkit = openToolkit({ path: join(this.dataDir, 'toolkit.sqlite') });
    try {
      return look(toolkit);
    } finally {
      toolkit.close();
    }
  }

  stored(): readonly ReceivedBoost[] {
    return this.read(({ boosts }) => boosts.arrivals(0, 1_000));
  }

  audited(): readonly AuditRecord[] {
    return this.read(({ store }) => [...new AuditLog({ store }).records()]);
  }

  remove(): void {
    rmSync(this.dataDir, { recursive: true });
  }
}

export function keysendTo(
  pair: Pair,
  given: { amountMsat?: bigint; records?: ReadonlyMap<bigint, Uint8Array>; preimage?: Uint8Array } = {},
) {
  const { amountMsat = 21_000n, records = new Map(), preimage } = given;
  return pair.alice.node.payments.outgoing.keysend({
    destination: hexToBytes(pair.bob.node.nodeId),
    amountMsat,
    customRecords: records,
    ...(preimage === undefined ? {} : { preimage }),
  });
}
