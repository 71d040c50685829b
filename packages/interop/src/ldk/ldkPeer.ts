import type { LdkEventLog, LdkWait } from './ldkEventLog.js';
import type {
  LdkAnnounceNode,
  LdkCreateInvoice,
  LdkForwardingPolicy,
  LdkInvoice,
  LdkNetworkGraph,
  LdkPayInvoice,
  LdkProbe,
} from './ldkNetworkTypes.js';
import type {
  LdkChannel,
  LdkChannelRef,
  LdkClaimableBalance,
  LdkKeysend,
  LdkOpenChannel,
  LdkOpenedChannel,
  LdkPeerInfo,
  LdkReceivePolicy,
  LdkSendMany,
  LdkSendManyResult,
  LdkSentPayment,
} from './ldkTypes.js';

export interface LdkAddress {
  pubkey: Uint8Array;
  port: number;
  /** The loopback address by default. */
  host?: string;
}

/** What an LDK node does, be it in this process (LdkNode) or in one of its own (LdkProcess). */
export interface LdkPeer {
  /** All that happened, over restarts too; `log.waitFor` waits for what will. */
  readonly log: LdkEventLog;
  readonly pubkey: Uint8Array;
  /** On the loopback address; the same after a restart. */
  readonly port: number;
  /** Coins sent here let the node pay for closing anchor channels. */
  readonly walletScript: Uint8Array;

  /** Resolves once `init` has been exchanged. */
  connect(address: LdkAddress): Promise<void>;
  disconnect(pubkey: Uint8Array): Promise<void>;
  peers(): Promise<LdkPeerInfo[]>;

  /** Resolves when the funding transaction has been signed and broadcast. */
  openChannel(channel: LdkOpenChannel): Promise<LdkOpenedChannel>;
  channels(): Promise<LdkChannel[]>;
  /** Starts a cooperative close. */
  closeChannel(channel: LdkChannelRef): Promise<void>;
  /** Closes a channel by broadcasting the latest commitment. */
  forceClose(channel: LdkChannelRef): Promise<void>;
  balances(): Promise<LdkClaimableBalance[]>;
  /** What it asks for forwarding into a channel from now on; its peers, or all, get a new channel_update. */
  setForwardingPolicy(channel: LdkChannelRef, policy: Partial<LdkForwardingPolicy>): Promise<void>;

  /** Tells all peers; whoever knows no announced channel of this node does not care. */
  announceNode(node: LdkAnnounceNode): Promise<void>;
  /** What it learned by gossip; a process that is restarted learns it anew. */
  graph(): Promise<LdkNetworkGraph>;

  /** Starts a payment and returns its id; `log.settlement` tells its outcome. */
  startKeysend(payment: LdkKeysend): Promise<Uint8Array>;
  /** @throws LdkError `ldk_payment_failed` with LDK's reason. */
  sendKeysend(payment: LdkKeysend, wait?: Partial<LdkWait>): Promise<LdkSentPayment>;
  sendMany(payments: LdkSendMany): Promise<LdkSendManyResult>;
  /** Unannounced channels are in it as route hints where no announced one could take the amount. */
  createInvoice(invoice: LdkCreateInvoice): Promise<LdkInvoice>;
  /** @throws LdkError `ldk_refused` for text that is no invoice, or not correctly signed. */
  decodeInvoice(text: string): Promise<LdkInvoice>;
  /** Starts to pay and returns the payment's id; `log.settlement` tells the outcome. */
  startInvoicePayment(payment: LdkPayInvoice): Promise<Uint8Array>;
  /** @throws LdkError `ldk_payment_failed` with LDK's reason. */
  payInvoice(payment: LdkPayInvoice, wait?: Partial<LdkWait>): Promise<LdkSentPayment>;
  /** Sends probes along the paths a payment would take; events tell what became of each. */
  sendProbes(probe: LdkProbe): Promise<Uint8Array[]>;
  /** For payments that arrive from now on. */
  setReceivePolicy(policy: LdkReceivePolicy): Promise<void>;
  /** Claims a payment that is held, whatever its custom records. */
  claimPayment(preimage: Uint8Array): Promise<void>;
  failPayment(paymentHash: Uint8Array): Promise<void>;

  /** What LDK believes fees to be; takes effect on channels at the next timer tick. */
  setFeerate(feeratePerKw: number): Promise<void>;
  /** Lets a minute pass, as far as LDK knows. */
  timerTick(): Promise<void>;
  /** Follows the chain to its tip, and broadcasts whatever follows from it; resolves to the height. */
  sync(): Promise<number>;
  /** Spends all outputs that have become spendable to a script; undefined when there are none. */
  sweep(script: Uint8Array): Promise<Uint8Array | undefined>;
  walletBalanceSat(): Promise<bigint>;
  /** The last lines of LDK's log. */
  logLines(): Promise<string[]>;
  /** The resident memory of the node's process. */
  rssBytes(): Promise<number>;

  /** Stops and starts again from what is stored; `crash` skips everything an orderly stop does. */
  restart(options?: { crash?: boolean }): Promise<void>;
  stop(): Promise<void>;
}
