import { KeysendError } from '../keysendError.js';
import type { ReceivedPayment, SubscribeOptions, Wallet, WalletCapabilities } from '../wallets/wallet.js';

/** What a wallet does before it hands out its next payment. */
export type Mishap =
  | 'none'
  /** The connection breaks. */
  | 'breaks'
  /** The subscription ends as if all were well. */
  | 'ends'
  /** The last few payments come again. */
  | 'repeats'
  /** It takes its time. */
  | 'waits';

/** A wallet that only receives: as the interface allows, not as one would like it. */
export class ReceivingWallet implements Wallet {
  readonly kind = 'rivulet';
  readonly log: ReceivedPayment[] = [];
  /** Of the node; none where it is absent. */
  nodeId: string | undefined;
  receives: WalletCapabilities['receives'] = 'records';
  /** Given out one by one; none where there are no more. */
  mishaps: Mishap[] = [];
  readonly subscriptions: (string | undefined)[] = [];
  open = 0;
  #wake: () => void = () => {};

  add(...payments: readonly ReceivedPayment[]): void {
    this.log.push(...payments);
    this.#wake();
  }

  async capabilities(): Promise<WalletCapabilities> {
    return {
      keysend: false,
      sendsRecords: false,
      repeats: 'none',
      receives: this.receives,
      holds: false,
      signs: false,
      paysInvoices: false,
      takesHints: false,
      limitsFees: false,
    };
  }

  async info() {
    if (this.nodeId === undefined) throw cannot();
    return { kind: this.kind, nodeId: this.nodeId } as const;
  }

  async *subscribe({ after, signal }: SubscribeOptions): AsyncIterable<ReceivedPayment> {
    this.subscriptions.push(after);
    this.open++;
    try {
      let at = after === undefined ? 0 : this.log.findIndex(({ cursor }) => cursor === after) + 1;
      while (!signal.aborted) {
        const payment = this.log[at];
        if (payment === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
            signal.addEventListener('abort', () => resolve(), { once: true });
          });
          continue;
        }
        switch (this.mishaps.shift() ?? 'none') {
          case 'breaks':
            throw new KeysendError('wallet_unreachable', 'the connection broke');
          case 'ends':
            return;
          case 'repeats':
            at = Math.max(0, at - 3);
            break;
          case 'waits':
            await new Promise((resolve) => setImmediate(resolve));
            break;
          case 'none':
            at++;
            yield payment;
        }
      }
    } finally {
      this.open--;
    }
  }

  async balance(): Promise<never> {
    throw cannot();
  }
  async keysend(): Promise<never> {
    throw cannot();
  }
  async payInvoice(): Promise<never> {
    throw cannot();
  }
  async lookup(): Promise<never> {
    throw cannot();
  }
  async signMessage(): Promise<never> {
    throw cannot();
  }
  async close(): Promise<void> {}
}

function cannot(): KeysendError {
  return new KeysendError('wallet_cannot', 'this wallet only receives');
}
