import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LdkChildMethod, LdkChildOptions, LdkChildStarted } from './ldkChildProtocol.js';
import { LdkError } from './ldkError.js';
import { LdkEventLog, type LdkWait } from './ldkEventLog.js';
import { LdkIpc } from './ldkIpc.js';
import type {
  LdkAnnounceNode,
  LdkCreateInvoice,
  LdkForwardingPolicy,
  LdkPayInvoice,
  LdkProbe,
} from './ldkNetworkTypes.js';
import type { LdkAddress, LdkPeer } from './ldkPeer.js';
import type {
  LdkChain,
  LdkChannelRef,
  LdkEvent,
  LdkFund,
  LdkKeysend,
  LdkOpenChannel,
  LdkReceivePolicy,
  LdkSendMany,
  LdkSentPayment,
} from './ldkTypes.js';

export interface LdkProcessContext {
  options: LdkChildOptions;
  chain: LdkChain;
  fund: LdkFund;
}

/** One life of the child process. */
interface Child {
  process: ChildProcess;
  ipc: LdkIpc;
  unsubscribe: () => void;
}

/** The compiled child, also when this runs from the sources: `npm run build` makes it. */
function childPath(): string {
  const here = fileURLToPath(new URL('./ldkChild.js', import.meta.url));
  return here.replace(/([\\/])src([\\/]ldk[\\/]ldkChild\.js)$/, '$1dist$2');
}

/** An LDK node in a process of its own, which can be killed; its chain and its funds stay in this one. */
export class LdkProcess implements LdkPeer {
  readonly log: LdkEventLog;
  readonly #context: LdkProcessContext;
  /** What a new process has to be told: settings last as long as this object. */
  #options: LdkChildOptions;
  #child: Child | undefined;
  #started: LdkChildStarted = {
    pubkey: new Uint8Array(33),
    port: 0,
    walletScript: new Uint8Array(),
  };

  private constructor(context: LdkProcessContext) {
    this.#context = context;
    this.#options = context.options;
    this.log = new LdkEventLog({
      ...(context.options.eventHistory !== undefined && { limit: context.options.eventHistory }),
      context: async () => (await this.logLines()).slice(-15).join('\n'),
    });
  }

  static async start(context: LdkProcessContext): Promise<LdkProcess> {
    const ldkProcess = new LdkProcess(context);
    await ldkProcess.#begin();
    return ldkProcess;
  }

  get pubkey(): Uint8Array {
    return this.#started.pubkey;
  }

  get port(): number {
    return this.#started.port;
  }

  get walletScript(): Uint8Array {
    return this.#started.walletScript;
  }

  connect({ pubkey, port, host = '127.0.0.1' }: LdkAddress) {
    return this.#call('connect', { pubkey, port, host });
  }

  disconnect(pubkey: Uint8Array) {
    return this.#call('disconnect', pubkey);
  }

  peers() {
    return this.#call('peers');
  }

  openChannel(channel: LdkOpenChannel) {
    return this.#call('openChannel', channel);
  }

  channels() {
    return this.#call('channels');
  }

  closeChannel(channel: LdkChannelRef) {
    return this.#call('closeChannel', channel);
  }

  forceClose(channel: LdkChannelRef) {
    return this.#call('forceClose', channel);
  }

  balances() {
    return this.#call('balances');
  }

  setForwardingPolicy(channel: LdkChannelRef, policy: Partial<LdkForwardingPolicy>) {
    return this.#call('setForwardingPolicy', channel, policy);
  }

  announceNode(node: LdkAnnounceNode) {
    return this.#call('announceNode', node);
  }

  graph() {
    return this.#call('graph');
  }

  startKeysend(payment: LdkKeysend) {
    return this.#call('startKeysend', payment);
  }

  async sendKeysend(payment: LdkKeysend, wait?: Partial<LdkWait>): Promise<LdkSentPayment> {
    return this.log.settlement(await this.startKeysend(payment), wait);
  }

  sendMany(payments: LdkSendMany) {
    return this.#call('sendMany', payments);
  }

  createInvoice(invoice: LdkCreateInvoice) {
    return this.#call('createInvoice', invoice);
  }

  decodeInvoice(text: string) {
    return this.#call('decodeInvoice', text);
  }

  startInvoicePayment(payment: LdkPayInvoice) {
    return this.#call('startInvoicePayment', payment);
  }

  async payInvoice(payment: LdkPayInvoice, wait?: Partial<LdkWait>): Promise<LdkSentPayment> {
    return this.log.settlement(await this.startInvoicePayment(payment), wait);
  }

  sendProbes(probe: LdkProbe) {
    return this.#call('sendProbes', probe);
  }

  setReceivePolicy(receivePolicy: LdkReceivePolicy) {
    this.#options = { ...this.#options, receivePolicy };
    return this.#call('setReceivePolicy', receivePolicy);
  }

  claimPayment(preimage: Uint8Array) {
    return this.#call('claimPayment', preimage);
  }

  failPayment(paymentHash: Uint8Array) {
    return this.#call('failPayment', paymentHash);
  }

  setFeerate(feeratePerKw: number) {
    this.#options = { ...this.#options, feeratePerKw };
    return this.#call('setFeerate', feeratePerKw);
  }

  timerTick() {
    return this.#call('timerTick');
  }

  sync() {
    return this.#call('sync');
  }

  sweep(script: Uint8Array) {
    return this.#call('sweep', script);
  }

  walletBalanceSat() {
    return this.#call('walletBalanceSat');
  }

  logLines() {
    return this.#call('logLines');
  }

  rssBytes() {
    return this.#call('rssBytes');
  }

  /** With `crash`, the process is killed wherever it is. */
  async restart({ crash = false }: { crash?: boolean } = {}): Promise<void> {
    await this.#end({ crash });
    await this.#begin();
  }

  async stop(): Promise<void> {
    await this.#end({ crash: false });
  }

  #call<Method extends LdkChildMethod>(
    method: Method,
    ...args: Parameters<LdkPeer[Method]>
  ): ReturnType<LdkPeer[Method]> {
    const child = this.#child;
    const answer = child
      ? child.ipc.call(method, ...args)
      : Promise.reject(new LdkError('ldk_not_running', 'the LDK process is not running'));
    return answer as ReturnType<LdkPeer[Method]>;
  }

  async #begin(): Promise<void> {
    const { chain } = this.#context;
    const child = fork(childPath(), {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    });
    // A panic of LDK is text on standard output, and nothing else.
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-4000);
      });
    }
    const ipc = new LdkIpc((message) => child.connected && child.send(message), {
      call: (method, args) => this.#answer(method, args),
      note: (name, value) => {
        if (name === 'event') this.log.emit(value as LdkEvent);
        else if (name === 'changed') this.log.touch();
      },
    });
    child.on('message', (message) => ipc.receive(message));
    child.once('exit', (code, signal) => {
      ipc.close(new LdkError('ldk_process', `the LDK process ended (${signal ?? code})\n${output}`));
    });
    const unsubscribe = chain.onTip(() => ipc.note('tip', undefined));
    this.#child = { process: child, ipc, unsubscribe };
    const options = { ...this.#options, port: this.#started.port || (this.#options.port ?? 0) };
    this.#started = (await ipc.call('start', options)) as LdkChildStarted;
  }

  async #answer(method: string, args: readonly unknown[]): Promise<unknown> {
    const { chain, fund } = this.#context;
    switch (method) {
      case 'tip':
        return chain.tip();
      case 'block':
        return chain.block(args[0] as number);
      case 'broadcast':
        return chain.broadcast(args[0] as readonly Uint8Array[]);
      case 'fund':
        return fund(args[0] as Parameters<LdkFund>[0]);
      default:
        throw new LdkError('ldk_refused', `the LDK process asked for ${method}, which is unknown`);
    }
  }

  async #end({ crash }: { crash: boolean }): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    child.unsubscribe();
    const ended = child.process.exitCode !== null || child.process.signalCode !== null;
    const exit = ended ? Promise.resolve() : once(child.process, 'exit');
    if (crash) {
      child.process.kill('SIGKILL');
    } else if (!ended) {
      await child.ipc.call('stop').catch(() => undefined);
      child.process.disconnect();
    }
    await exit;
  }
}
