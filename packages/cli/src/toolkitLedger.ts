import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { LegLedger, type Schedule, systemSchedule, type Wallet } from '@rivulet/keysend';
import type { CliToolkit } from './toolkit.js';

/** Timers that keep the process alive: a payment that waits for its second try is still to be made. */
export const wakefulSchedule: Schedule = systemSchedule;

/** Where process ids mean the same: two containers may share a folder and a name, and have processes of their own. */
function processWorld(): string {
  try {
    return `${hostname()}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/**
 * The ledger of the data folder. Where a command was killed, the next one sees that its process is gone, and need not
 * wait until its lease has run out.
 * @param wallet what pays; a command that only lists and decides needs none.
 */
export function openLedger(toolkit: CliToolkit, wallet: Wallet = noWallet()): LegLedger {
  const { store, secret, now, resolver, audit, guard } = toolkit;
  const world = processWorld();
  const isOwnerAlive = (owner: string): boolean | undefined => {
    const [, where, pid] = /^cli (.*) (\d+) [0-9a-f]+$/.exec(owner) ?? [];
    if (where !== world || pid === undefined) return undefined;
    try {
      process.kill(Number(pid), 0);
      // That one, or another with its number: the lease will tell.
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH' ? false : undefined;
    }
  };
  return new LegLedger({
    store,
    wallet,
    secret,
    now,
    schedule: wakefulSchedule,
    resolver,
    owner: `cli ${world} ${process.pid} ${randomBytes(8).toString('hex')}`,
    isOwnerAlive,
    audit,
    guard,
  });
}

function noWallet(): Wallet {
  return new Proxy({} as Wallet, {
    get: (_, name) => {
      throw new Error(`this command has no wallet, and asked it for ${String(name)}`);
    },
  });
}
