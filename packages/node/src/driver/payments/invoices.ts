import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, isAnnounced, receivableNowMsat } from '@rivulet/core/channel';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { isDisabled } from '@rivulet/core/gossip';
import type { HintHop } from '@rivulet/core/graph';
import { createInvoice, type Invoice } from '@rivulet/core/invoice';
import { createFeatures } from '@rivulet/core/wire';
import type { StoredInvoice } from '@rivulet/storage';
import { isUsable } from '../describe.js';
import type { RemotePolicies } from '../remotePolicies.js';
import { channelKey, type Turns } from '../turns.js';
import { PaymentError } from './paymentError.js';

export interface NewInvoice {
  /** The payer chooses where it is absent. */
  readonly amountMsat?: bigint;
  readonly description: string;
  readonly expirySeconds?: number;
  /** What is paid is held until it is settled or cancelled. */
  readonly hold?: boolean;
  /** Of a hold invoice whose preimage the caller keeps to himself. */
  readonly paymentHash?: Uint8Array;
}

export interface InvoicesOptions {
  readonly turns: Turns;
  readonly remotePolicies: RemotePolicies;
  readonly nodePrivateKey: Uint8Array;
  readonly currency: Invoice['currency'];
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** Blocks that the last HTLC of a payment to us has left at least: 18 are needed to claim it on chain. */
const invoiceFinalCltvDelta = 40;
const defaultExpirySeconds = 3_600;
/** More would make the text long, and each is tried only where the ones before it fail. */
const maxHints = 3;

/** Makes invoices, and stores each before anybody sees it. */
export class Invoices {
  readonly #options: InvoicesOptions;

  constructor(options: InvoicesOptions) {
    this.#options = options;
  }

  /** @throws InvoiceError; PaymentError `not_stored` */
  create(wanted: NewInvoice): Promise<StoredInvoice> {
    const { randomBytes } = this.#options;
    const preimage = wanted.paymentHash === undefined ? randomBytes(32) : undefined;
    const paymentHash = wanted.paymentHash ?? sha256(preimage as Uint8Array);
    const invoice = this.#write(wanted, { paymentHash, preimage });
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => {
          // Of a hash that was paid once the preimage is known to all who passed it on.
          if (turn.tx.getInvoice(paymentHash) !== undefined || turn.tx.hasSeenHash(paymentHash)) {
            const error = new PaymentError(
              'request_invalid',
              `the hash ${bytesToHex(paymentHash)} was used before: use a new preimage`,
            );
            turn.afterCommit(() => reject(error));
            return;
          }
          turn.tx.putInvoice(invoice);
          turn.afterCommit(() => resolve(invoice));
        },
        failed: (cause) =>
          reject(new PaymentError('not_stored', 'the invoice could not be stored', { cause })),
      });
    });
  }

  #write(
    {
      amountMsat,
      description,
      expirySeconds = defaultExpirySeconds,
      hold = false,
      paymentHash: given,
    }: NewInvoice,
    { paymentHash, preimage }: { paymentHash: Uint8Array; preimage: Uint8Array | undefined },
  ): StoredInvoice {
    const { nodePrivateKey, currency, now, randomBytes } = this.#options;
    const nowMs = now();
    const timestamp = Math.floor(nowMs / 1000);
    const paymentSecret = randomBytes(32);
    const bolt11 = createInvoice(
      {
        currency,
        timestamp,
        paymentHash,
        paymentSecret,
        description: { type: 'text', text: description },
        expirySeconds,
        minFinalCltvDelta: invoiceFinalCltvDelta,
        hints: this.hints(amountMsat ?? 0n),
        features: createFeatures({
          compulsory: ['varOnionOptin', 'paymentSecret'],
          optional: ['basicMpp', 'attributionData'],
        }),
        ...(amountMsat === undefined ? {} : { amountMsat }),
      },
      (hash) => secp256k1.signRecoverable(hash, nodePrivateKey),
    );
    return {
      paymentHash,
      // A hold invoice whose preimage we have: it is given out when the owner says so.
      ...(preimage === undefined ? {} : { preimage }),
      paymentSecret,
      ...(amountMsat === undefined ? {} : { amountMsat }),
      bolt11,
      description,
      createdAtMs: nowMs,
      expiresAtMs: (timestamp + expirySeconds) * 1000,
      minFinalCltvDelta: invoiceFinalCltvDelta,
      hold: hold || given !== undefined,
      state: 'open',
    };
  }

  /** The unannounced channels over which most can come in; none where the network knows a way to us. */
  hints(amountMsat: bigint): HintHop[][] {
    const usable = [...this.#options.turns.channels.values()].filter(isUsable);
    if (usable.some(isAnnounced)) return [];
    return usable
      .flatMap((channel) => {
        const hop = this.#hintOf(channel);
        return hop === undefined ? [] : [{ hop, receivableMsat: receivableNowMsat(channel) }];
      })
      .sort(
        (a, b) =>
          Number(suits(b.hop, amountMsat)) - Number(suits(a.hop, amountMsat)) ||
          (a.receivableMsat < b.receivableMsat ? 1 : -1),
      )
      .filter(({ receivableMsat }, i) => i === 0 || receivableMsat >= amountMsat)
      .slice(0, maxHints)
      .map(({ hop }) => [hop]);
  }

  #hintOf(channel: Channel): HintHop | undefined {
    return hintThrough(channel, this.#options.remotePolicies);
  }
}

/** Whether a peer's terms leave sense in paying so much through it: others come before one whose do not. */
function suits(hop: HintHop, amountMsat: bigint): boolean {
  const { htlcMinimumMsat = 0n, feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta } = hop;
  const feeMsat = BigInt(feeBaseMsat) + (amountMsat * BigInt(feeProportionalMillionths)) / 1_000_000n;
  const bearableMsat = amountMsat / 10n > 10_000n ? amountMsat / 10n : 10_000n;
  return (
    feeMsat <= bearableMsat && htlcMinimumMsat <= (amountMsat || htlcMinimumMsat) && cltvExpiryDelta <= 288
  );
}

/** The last hop to us through a channel, as its peer asks to be paid for it. */
export function hintThrough(channel: Channel, remotePolicies: RemotePolicies): HintHop | undefined {
  const { params, readiness } = channel;
  const update = remotePolicies.get(channelKey(params.channelId));
  if (update === undefined || isDisabled(update)) return undefined;
  const { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat } =
    update;
  return {
    nodeId: params.remoteNodeId,
    // BOLT 2: the alias that the peer knows the channel by, where it gave one
    shortChannelId: (params.announce ? undefined : readiness.remoteAlias) ?? update.shortChannelId,
    feeBaseMsat,
    feeProportionalMillionths,
    cltvExpiryDelta,
    htlcMinimumMsat,
    htlcMaximumMsat,
  };
}
