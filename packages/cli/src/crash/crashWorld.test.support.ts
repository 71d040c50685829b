import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressToScript, type Regtest, startRegtest } from '@rivulet/chain';
import { DaemonProcess, killAll } from './daemonProcess.test.support.js';

/** A chain in the process of the test, and daemons in processes of their own that share it. */
export class CrashWorld {
  readonly folder: string;
  readonly regtest: Regtest;
  readonly daemons: DaemonProcess[] = [];

  private constructor(folder: string, regtest: Regtest) {
    this.folder = folder;
    this.regtest = regtest;
  }

  static async create(): Promise<CrashWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-crash-'));
    return new CrashWorld(folder, await startRegtest({ dataDir: join(folder, 'chain') }));
  }

  async daemon(name: string, flags: Readonly<Record<string, string>> = {}): Promise<DaemonProcess> {
    const daemon = new DaemonProcess({
      name,
      dataDir: join(this.folder, name),
      flags: {
        '--chain-type': 'bitcoind',
        '--chain-url': this.regtest.rpcUrl,
        '--chain-cookie-path': this.regtest.cookiePath ?? '',
        ...flags,
      },
    });
    this.daemons.push(daemon);
    await daemon.start();
    return daemon;
  }

  /** Mines, and waits until the daemons that are named have seen it. */
  async mine(blocks: number, seenBy: readonly DaemonProcess[], address?: string): Promise<void> {
    const script = address === undefined ? undefined : addressToScript(address, 'regtest');
    this.regtest.chain.mine({ blocks, ...(script === undefined ? {} : { script }) });
    const { height } = this.regtest.chain.tip;
    for (const daemon of seenBy) {
      await daemon.until(
        'it has seen the tip',
        async (client) => (await client.info()).blockHeight >= height,
      );
    }
  }

  /** Mines blocks one by one until something holds. */
  async mineUntil(seenBy: readonly DaemonProcess[], holds: () => Promise<boolean>): Promise<void> {
    for (let blocks = 0; !(await holds()); blocks++) {
      if (blocks === 20) throw new Error('20 blocks have not brought what was waited for');
      await this.mine(1, seenBy);
    }
  }

  /** Coins that can be spent. */
  async fund(daemon: DaemonProcess): Promise<void> {
    const { address } = await daemon.client.newAddress();
    await this.mine(1, [], address);
    await this.mine(100, [daemon]);
  }

  async close(): Promise<void> {
    if (process.env.RIVULET_TEST_KEEP !== undefined) console.log(`kept: ${this.folder}`);
    killAll();
    await this.regtest.stop();
    if (process.env.RIVULET_TEST_KEEP === undefined) {
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
