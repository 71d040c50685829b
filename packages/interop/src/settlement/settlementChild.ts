import { initCrypto } from '@rivulet/core/crypto';
import { runSituation } from './runSituation.js';
import type { Situation } from './situation.js';

/** What a child is told to do. */
export interface SettlementTask {
  readonly situation: Situation;
  readonly parent: string;
  readonly withLog: boolean;
}

/** What it says when it is done, and `ready` once at its start. */
export type SettlementAnswer = { readonly ready: true } | { readonly ms: number; readonly error?: string };

function answer(value: SettlementAnswer): void {
  process.send?.(value);
}

await initCrypto();
process.on('message', async ({ situation, parent, withLog }: SettlementTask) => {
  const begin = performance.now();
  const ms = () => Math.round(performance.now() - begin);
  try {
    await runSituation(situation, { parent, withLog });
    answer({ ms: ms() });
  } catch (error) {
    answer({ ms: ms(), error: error instanceof Error ? error.message : String(error) });
  }
});
process.on('disconnect', () => process.exit());
answer({ ready: true });
