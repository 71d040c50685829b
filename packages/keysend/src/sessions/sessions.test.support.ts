import { nodeIdOf, TestProcess, TestTime, TestWallet, testLedger } from '../ledger/ledger.test.support.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import type { ValuePlan, ValueRecipient } from '../value/index.js';

export function row(n: number, split: number, changes: Partial<ValueRecipient> = {}): ValueRecipient {
  return {
    name: `r${n}`,
    type: 'node',
    address: nodeIdOf(n),
    split: BigInt(split),
    fee: false,
    ...changes,
  };
}

/**
 * Ten minutes. Host 1 and guest 2 share it 60 to 40, app 3 takes 2 %. From 1:30 to 4:00.5, 90 % go to song 4;
 * from 5:00 to 6:00 all to guest 5.
 */
export const testPlan: ValuePlan = {
  feed: { title: 'Show', guid: 'feed-guid', url: 'https://show.example/feed.xml' },
  item: { title: 'Episode', guid: 'item-guid', durationSeconds: 600 },
  block: {
    type: 'lightning',
    method: 'keysend',
    recipients: [row(1, 60), row(2, 40), row(3, 2, { fee: true })],
    timeSplits: [
      {
        startSeconds: 90,
        durationSeconds: 150.5,
        remoteStartSeconds: 10,
        remotePercentage: 90,
        target: { type: 'remoteItem', remoteItem: { feedGuid: 'music-guid', itemGuid: 'song-guid' } },
      },
      {
        startSeconds: 300,
        durationSeconds: 60,
        remoteStartSeconds: 0,
        remotePercentage: 100,
        target: { type: 'recipients', recipients: [row(5, 1)] },
      },
    ],
  },
  remotes: [{ status: 'loaded', recipients: [row(4, 100)] }, undefined],
  problems: [],
};

/** Whose share of a position is how many ten-thousandths, as the plan above says it in words. */
export function sharesAt(positionSeconds: number): Record<number, number> {
  if (positionSeconds >= 90 && positionSeconds < 240.5) return { 3: 200, 4: 8820, 1: 588, 2: 392 };
  if (positionSeconds >= 300 && positionSeconds < 360) return { 3: 200, 5: 9800 };
  return { 3: 200, 1: 5880, 2: 3920 };
}

/** What each was paid, by the number of its row. */
export function paidBy(wallet: TestWallet): Record<number, bigint> {
  const paid: Record<number, bigint> = {};
  for (const { nodeId, amountMsat, times } of wallet.paid.values()) {
    const n = Number(BigInt(`0x${nodeId.slice(2)}`));
    paid[n] = (paid[n] ?? 0n) + amountMsat * BigInt(times);
  }
  return paid;
}

export class SessionWorld {
  readonly time = new TestTime();
  readonly store: ToolkitStore = memoryStore();
  readonly wallet: TestWallet;

  constructor(behave?: ConstructorParameters<typeof TestWallet>[0]['behave']) {
    this.wallet = new TestWallet({ time: this.time, ...(behave && { behave }) });
  }

  ledger(process = new TestProcess()) {
    const { time, store, wallet } = this;
    return testLedger({ time, store, wallet, process, isOwnerAlive: () => false });
  }
}
