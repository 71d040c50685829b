import {
  type AddressHints,
  hintsText,
  type KeysendAccount,
  type SignedHints,
  signHints,
} from '@rivulet/keysend';
import type { Config } from '../config/index.js';
import type { RivuletNode } from '../driver/index.js';
import type { Logger } from '../logging/index.js';

export interface AddressDeskOptions {
  readonly config: Pick<Config, 'address' | 'keysend'>;
  readonly node: {
    readonly nodeId: string;
    readonly payments: {
      readonly invoices: Pick<RivuletNode['payments']['invoices'], 'hints'>;
      signMessage(text: string): string;
    };
  };
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Logger;
}

const hintsLifetimeSeconds = 7 * 86_400;
/** docs/keysend-address-hints.md: the most that an answer may have. */
const maxHints = 8;
const maxHops = 4;
/** A peer's update may say more than there are bitcoins: nobody pays that, and nobody reads it. */
const maxMsat = 21_000_000n * 100_000_000n * 1000n;

/** Whom the names of keysend addresses stand for: this node, with signed hints where nobody finds it without. */
export class AddressDesk {
  readonly #options: AddressDeskOptions;
  readonly #signed = new Map<string, SignedHints>();
  #unsaid = false;

  constructor(options: AddressDeskOptions) {
    this.#options = options;
  }

  /** @param name in lower case. */
  async accountOf(name: string): Promise<KeysendAccount | undefined> {
    const { config, node } = this.#options;
    const { address, keysend } = config;
    if (!keysend.accept || !address.names.includes(name)) return undefined;
    const { nodeId } = node;
    if (address.domain === undefined) return { nodeId };
    const hints = await this.#hintsFor(`${name}@${address.domain}`);
    return { nodeId, ...(hints === undefined ? {} : { hints }) };
  }

  async #hintsFor(address: string): Promise<SignedHints | undefined> {
    const { node, now, logger } = this.#options;
    const { nodeId } = node;
    const hints = usable(node.payments.invoices.hints(0n));
    if (hints.length === 0) return undefined;
    const nowSeconds = Math.floor(now() / 1000);
    const before = this.#signed.get(address);
    try {
      // Signed anew when a channel's terms change, and long before they expire.
      if (
        before !== undefined &&
        before.expires - nowSeconds > hintsLifetimeSeconds / 2 &&
        before.expires - nowSeconds <= hintsLifetimeSeconds &&
        textOf(before.hints) === textOf(hints)
      ) {
        return before;
      }
      const expires = nowSeconds + hintsLifetimeSeconds;
      const signed = await signHints({ nodeId, address, expires, hints }, (text) =>
        node.payments.signMessage(text),
      );
      this.#signed.set(address, signed);
      return signed;
    } catch (err) {
      // The answer without them is better than none: who has a channel with us can pay.
      if (!this.#unsaid) logger.warn({ err, address }, 'the hints of a keysend address cannot be signed');
      this.#unsaid = true;
      return undefined;
    }
  }
}

/** Those that an answer may have. */
function usable(hints: AddressHints): AddressHints {
  return hints
    .filter((hops) => hops.length > 0 && hops.length <= maxHops)
    .slice(0, maxHints)
    .map((hops) =>
      hops.map((hop) => ({
        ...hop,
        ...(hop.htlcMinimumMsat === undefined ? {} : { htlcMinimumMsat: least(hop.htlcMinimumMsat) }),
        ...(hop.htlcMaximumMsat === undefined ? {} : { htlcMaximumMsat: least(hop.htlcMaximumMsat) }),
      })),
    );
}

function least(amountMsat: bigint): bigint {
  return amountMsat < maxMsat ? amountMsat : maxMsat;
}

/** What two sets of hints are compared by. */
function textOf(hints: AddressHints): string {
  return hintsText({ nodeId: '02'.padEnd(66, '0'), address: 'x@example.com', expires: 1, hints });
}
