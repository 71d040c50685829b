import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { type Transaction, txidToHex } from '@rivulet/core/tx';
import type { LdkPeer } from '../../ldk/ldkPeer.js';
import type { Pair } from '../pair.js';
import type { RivuletPeer } from '../rivuletPeer.js';
import { expectSame, expectThat } from '../waitUntil.js';

/** The transaction, in the mempool or in a block, that spends the channel's funding output. */
export async function findFundingSpend(pair: Pair): Promise<Transaction | undefined> {
  const { regtest } = pair.rig.chain;
  const { fundingTxidHex, fundingOutputIndex } = await pair.rivuletChannel();
  const spends = (tx: Transaction) =>
    tx.inputs.some(
      ({ outpoint }) => txidToHex(outpoint.txid) === fundingTxidHex && outpoint.index === fundingOutputIndex,
    );
  for (const { tx } of regtest.mempool.entries()) if (spends(tx)) return tx;
  const outpoint = { txid: hexToBytes(fundingTxidHex!).reverse(), index: fundingOutputIndex! };
  return regtest.confirmedSpend(outpoint)?.transaction.tx;
}

export function untilFundingSpent(pair: Pair): Promise<Transaction> {
  return pair.rig.until('the closing transaction in the mempool', () => findFundingSpend(pair));
}

export async function confirmedSat(rivulet: RivuletPeer): Promise<bigint> {
  return (await rivulet.api.balance({})).onchain.confirmedSat;
}

/** What LDK can spend of its closed channels. */
export function ldkSpendableSat(ldk: LdkPeer): bigint {
  return ldk.log
    .eventsOf('spendableOutputs')
    .flatMap(({ valuesSat }) => valuesSat)
    .reduce((sum, valueSat) => sum + valueSat, 0n);
}

/** Has LDK take its money to its wallet, and checks that it arrives. */
export async function sweepLdk({ rig, ldk }: Pair): Promise<void> {
  const before = await ldk.walletBalanceSat();
  const spendableSat = ldkSpendableSat(ldk);
  expectThat((await ldk.sweep(ldk.walletScript)) !== undefined, 'LDK sweeps');
  await rig.mine(1);
  const gainSat = (await ldk.walletBalanceSat()) - before;
  expectThat(
    gainSat > spendableSat - 5_000n && gainSat < spendableSat,
    `about ${spendableSat} sat in LDK's wallet, not ${gainSat}`,
  );
}

export function feeSat(tx: Transaction, inputSat: bigint): bigint {
  return inputSat - tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
}

export async function expectState(pair: Pair, state: string): Promise<void> {
  await pair.rig.until(`Rivulet's channel ${state}`, async () => {
    const channel = await pair.findRivuletChannel();
    return channel?.state === state;
  });
}

/** Waits for LDK to give the channel up. @returns its reason. */
export async function ldkClosedBecause({ ldk, channelId }: Pair): Promise<string> {
  const closed = await ldk.log.waitForEvent(
    'channelClosed',
    (event) => bytesToHex(event.channelId) === channelId,
  );
  return closed.reason;
}

export function expectAbout(
  actualSat: bigint,
  { atMostSat, atLeastSat, what }: { atMostSat: bigint; atLeastSat: bigint; what: string },
): void {
  const right = actualSat >= atLeastSat && actualSat <= atMostSat;
  expectSame(
    right,
    true,
    `${what}: ${atLeastSat} to ${atMostSat} sat, and there are ${actualSat}; in bounds`,
  );
}
