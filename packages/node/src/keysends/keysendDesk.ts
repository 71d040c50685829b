import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { decodeTlvStream } from '@rivulet/core/wire';
import type { ReceivedPayment } from '@rivulet/keysend';
import { AuditLog } from '@rivulet/keysend/compliance';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import type { NodeService } from '@rivulet/sdk';
import { StorageError } from '@rivulet/storage';
import type { Config } from '../config/index.js';
import type { RivuletNode } from '../driver/index.js';
import type { Logger } from '../logging/index.js';
import { type CancelTimer, type Scheduler, systemScheduler } from '../peers/index.js';
import { AddressDesk } from './addressDesk.js';
import { KeysendPolicy } from './keysendPolicy.js';
import { type PublicServer, startPublicServer } from './publicServer.js';
import { ToolkitDesk } from './toolkitDesk.js';

export interface KeysendDeskOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly scheduler?: Scheduler;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Opens the file of the toolkit. @throws StorageError */
  readonly open?: (path: string) => Toolkit;
}

const toolkitFileName = 'toolkit.sqlite';
/** How often it is looked whether the file of the toolkit can be used, and opened again where it cannot. */
const lookMs = 60_000;
/** How long a command may keep this process waiting with a transaction of its own: everything waits then. */
const busyTimeoutMs = 1_000;

/**
 * What a daemon does with keysends beyond settling them: judges them before, keeps them for lists and webhooks,
 * audits them, gives receipts, and answers for keysend addresses. All in the toolkit's own file, which the commands
 * of the toolkit use as well; the node's database has the money and does not depend on it. While that file cannot be
 * used, payments are settled as the policy in memory says; what was missed is taken from the node's list later.
 */
export class KeysendDesk {
  readonly policy: KeysendPolicy;
  readonly #options: Required<KeysendDeskOptions>;
  #toolkit: Toolkit | undefined;
  #work: ToolkitDesk | undefined;
  #node: RivuletNode | undefined;
  #server: PublicServer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #timer: CancelTimer | undefined;
  #stopping: Promise<void> | undefined;
  #failing = false;

  constructor({
    config,
    logger,
    scheduler = systemScheduler,
    now = Date.now,
    open = (path) => openToolkit({ path }),
  }: KeysendDeskOptions) {
    this.#options = { config, logger, scheduler, now, open };
    this.policy = new KeysendPolicy({ recipient: () => this.#knownNode.nodeId, scheduler, now, logger });
    this.#open();
  }

  get #knownNode(): RivuletNode {
    if (this.#node === undefined) throw new Error('a keysend was judged before there was a node');
    return this.#node;
  }

  /** Whose keysends it is about; before the node starts. */
  attach(node: RivuletNode): void {
    this.#node = node;
  }

  /** The port of the public server, where there is one. */
  get publicPort(): number | undefined {
    return this.#server?.port;
  }

  /** @throws DaemonError `port_taken` */
  async start(service: NodeService): Promise<void> {
    const { config, logger, now } = this.#options;
    const node = this.#knownNode;
    await this.#look(service);
    this.#lookLater(service);
    const { enabled, host, port } = config.address;
    if (!enabled) return;
    const addresses = new AddressDesk({ config, node, now, logger });
    this.#server = await startPublicServer({
      host,
      port,
      accountOf: (name) => addresses.accountOf(name),
      issuer: () => this.#work?.issuer,
      findPayment: (paymentHash) => this.#findPayment(paymentHash),
      now,
      logger,
    });
  }

  /** Ends all, and lets go of the file. A second call waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#timer?.();
    await this.#server?.close();
    await this.#looking;
    await this.#endWork();
    this.policy.close();
    this.#close();
  }

  /** Never throws: a daemon without its toolkit still has channels to watch. */
  #open(): void {
    const { config, logger, open } = this.#options;
    try {
      const toolkit = open(join(config.dataDir, toolkitFileName));
      this.#toolkit = toolkit;
      toolkit.database.pragma(`busy_timeout = ${busyTimeoutMs}`);
      const { store } = toolkit;
      this.policy.open({ store, audit: new AuditLog({ store }) });
      if (this.#failing) logger.info({}, 'the file of the toolkit can be used again');
      this.#failing = false;
    } catch (err) {
      this.#close();
      this.#failed(err);
    }
  }

  #failed(err: unknown): void {
    if (!this.#failing) {
      this.#options.logger.error(
        { err },
        'the file of the toolkit cannot be used: payments are neither listed nor told of until it can',
      );
    }
    this.#failing = true;
  }

  #close(): void {
    this.policy.detach();
    try {
      this.#toolkit?.database.close();
    } catch (err) {
      this.#options.logger.warn({ err }, 'the file of the toolkit could not be closed in order');
    }
    this.#toolkit = undefined;
  }

  #lookLater(service: NodeService): void {
    this.#timer = this.#options.scheduler.schedule(lookMs, () => {
      this.#looking = this.#look(service).finally(() => {
        if (this.#stopping === undefined) this.#lookLater(service);
      });
    });
  }

  /** Begins where there is nothing at work; a file whose disk failed is opened anew. Never rejects. */
  async #look(service: NodeService): Promise<void> {
    if (this.#toolkit !== undefined && isDead(this.#toolkit)) {
      await this.#endWork();
      this.#close();
      this.#failed(new Error('its disk failed'));
    }
    if (this.#toolkit === undefined) this.#open();
    if (this.#toolkit === undefined || this.#work !== undefined) return;
    const { config, scheduler, now, logger } = this.#options;
    try {
      this.#work = new ToolkitDesk({
        toolkit: this.#toolkit,
        dataDir: config.dataDir,
        node: this.#knownNode,
        service,
        scheduler,
        now,
        logger,
      });
      this.#work.start();
    } catch (err) {
      this.#failed(err);
      await this.#endWork();
    }
  }

  async #endWork(): Promise<void> {
    const work = this.#work;
    this.#work = undefined;
    try {
      await work?.stop();
    } catch (err) {
      this.#options.logger.warn({ err }, 'the toolkit could not be stopped in order');
    }
  }

  #findPayment(paymentHash: string): ReceivedPayment | undefined {
    const stored = this.#knownNode.storage.getIncomingPayment(hexToBytes(paymentHash));
    if (stored === undefined) return undefined;
    return {
      paymentHash,
      amountMsat: stored.amountMsat,
      receivedAtMs: stored.receivedAtMs,
      records: new Map(decodeTlvStream(stored.records).map(({ type, value }) => [type, value])),
      cursor: String(stored.sequence),
    };
  }
}

/** After a fault of the disk a connection is of no use any more. */
function isDead({ database }: Toolkit): boolean {
  try {
    database.pragma('user_version');
    return false;
  } catch (error) {
    return error instanceof StorageError && error.code !== 'locked';
  }
}
