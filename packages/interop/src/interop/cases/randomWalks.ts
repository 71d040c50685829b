import { bytesToHex } from '@rivulet/core/bytes';
import type { Message } from '@rivulet/core/wire';
import { createDice } from '../dice.js';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import type { RivuletHere } from '../rivuletHere.js';
import { expectThat } from '../waitUntil.js';
import { expectAllEndedOnce, startFromRivulet } from './outcomes.js';

const cutTypes: readonly Message['type'][] = [
  'update_add_htlc',
  'update_fulfill_htlc',
  'commitment_signed',
  'revoke_and_ack',
  'update_fee',
  'channel_reestablish',
];

class Walk {
  readonly ldkPayments: Uint8Array[] = [];
  readonly #pair: Pair;
  readonly #rivulet: RivuletHere;
  readonly #opener: Opener;
  readonly #dice: (sides: number) => number;
  readonly #answered = new Set<string>();

  constructor(pair: Pair, peers: { rivulet: RivuletHere; opener: Opener }, seed: number) {
    this.#pair = pair;
    this.#rivulet = peers.rivulet;
    this.#opener = peers.opener;
    this.#dice = createDice(seed);
  }

  async step(): Promise<void> {
    const { ldk, rivulet } = this.#pair;
    switch (this.#dice(12)) {
      case 0:
      case 1:
      case 2:
        await startFromRivulet(this.#pair, this.#amountMsat()).catch(() => undefined);
        return;
      case 3:
      case 4:
      case 5: {
        const payment = { pubkey: rivulet.pubkey, amountMsat: this.#amountMsat() };
        await ldk.startKeysend(payment).then(
          (id) => this.ldkPayments.push(id),
          () => undefined,
        );
        return;
      }
      case 6:
        await ldk.setReceivePolicy((['claim', 'hold', 'fail'] as const)[this.#dice(3)]!);
        return;
      case 7:
        await this.#answerHeld();
        return;
      case 8:
        await this.#changeFeerate(253 + this.#dice(2_000));
        return;
      case 9:
        this.#rivulet.cut(this.#dice(2) === 0 ? 'before' : 'after', cutTypes[this.#dice(cutTypes.length)]!);
        return;
      case 10:
        await ldk.disconnect(rivulet.pubkey);
        return;
      default:
        await this.#connect();
    }
  }

  /** Nothing is held back any more and the connection stays: everything can end. */
  async finish(): Promise<void> {
    const { rig, ldk } = this.#pair;
    this.#rivulet.uncut();
    await ldk.setReceivePolicy('claim');
    await rig.until('the channel usable at the end', async () => {
      await this.#connect();
      const ours = await this.#pair.findRivuletChannel();
      return ours?.usable === true && (await this.#pair.findLdkChannel())?.isUsable === true;
    });
    await rig.until('nothing held any more', async () => {
      await this.#connect();
      await this.#answerHeld();
      const [ours, theirs] = [await this.#pair.rivuletChannel(), await this.#pair.ldkChannel()];
      return ours.pendingHtlcs === 0 && theirs.htlcs.length === 0;
    });
  }

  /** The opener's; LDK takes none from its peer that is below its own estimate. */
  async #changeFeerate(feeratePerKw: number): Promise<void> {
    const { rig, ldk } = this.#pair;
    if (this.#opener === 'rivulet') {
      rig.chain.regtest.feeratePerKw = feeratePerKw;
      await rig.mine(1);
    } else {
      await ldk.setFeerate(feeratePerKw);
      await ldk.timerTick();
    }
  }

  #amountMsat(): bigint {
    return BigInt(1 + this.#dice(10 ** (1 + this.#dice(8))));
  }

  async #connect(): Promise<void> {
    await this.#pair.dial().catch(() => undefined);
  }

  async #answerHeld(): Promise<void> {
    const { ldk } = this.#pair;
    for (const { paymentHash, preimage } of ldk.log.eventsOf('paymentClaimable')) {
      const key = bytesToHex(paymentHash);
      if (this.#answered.has(key)) continue;
      this.#answered.add(key);
      if (this.#dice(2) === 0) await ldk.claimPayment(preimage!);
      else await ldk.failPayment(paymentHash);
    }
  }
}

/** @param seeds one walk each. */
function randomWalk(opener: Opener, seeds: readonly number[]): InteropCase {
  return {
    name: `${opener} opens; random walks (seeds ${seeds.join(', ')}): payments, holds, fees, cuts and reconnections in any order`,
    async run(rig) {
      const rivulet = await rig.startRivulet();
      const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener });
      const startMsat = (await pair.rivuletChannel()).localMsat;
      const ldkPayments: Uint8Array[] = [];
      for (const seed of seeds) {
        const walk = new Walk(pair, { rivulet, opener }, seed);
        for (let i = 0; i < 80; i++) await walk.step();
        await walk.finish();
        ldkPayments.push(...walk.ldkPayments);
        const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
        expectThat(ended.fromRivulet + ended.fromLdk > 0, 'some payments to succeed');
      }
    },
  };
}

export const randomWalkCases: readonly InteropCase[] = [
  randomWalk('rivulet', [1, 2, 3]),
  randomWalk('ldk', [4, 5, 6]),
];
