import type { LdkPeer } from './ldkPeer.js';
import type { LdkNodeOptions } from './ldkTypes.js';

/** What the parent may ask for; `restart` is a new process, and the log is told as it happens. */
export const ldkChildMethods = [
  'connect',
  'disconnect',
  'peers',
  'openChannel',
  'channels',
  'closeChannel',
  'forceClose',
  'balances',
  'setForwardingPolicy',
  'announceNode',
  'graph',
  'startKeysend',
  'sendMany',
  'createInvoice',
  'decodeInvoice',
  'startInvoicePayment',
  'sendProbes',
  'setReceivePolicy',
  'claimPayment',
  'failPayment',
  'setFeerate',
  'timerTick',
  'sync',
  'sweep',
  'walletBalanceSat',
  'logLines',
  'rssBytes',
  'stop',
] as const satisfies readonly (keyof LdkPeer)[];

export type LdkChildMethod = (typeof ldkChildMethods)[number];

/** What the child tells once it runs. */
export interface LdkChildStarted {
  pubkey: Uint8Array;
  port: number;
  walletScript: Uint8Array;
}

export interface LdkChildOptions extends LdkNodeOptions {
  dataDir: string;
  /** Payments in bulk would flood the parent with events it does not look at. */
  quiet?: boolean;
}
