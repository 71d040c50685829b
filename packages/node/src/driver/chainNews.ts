import type { ChainHealth } from '@rivulet/chain';
import type { Logger } from '../logging/logger.js';

/** Logs how following the chain goes, where something is wrong with it; `behind` comes and goes with every block. */
export function chainNews(logger: Logger): (health: ChainHealth) => void {
  let trouble = false;
  return ({ state, detail }) => {
    if (state === 'behind' || (state === 'ok' && !trouble)) return;
    trouble = state !== 'ok';
    logger[trouble ? 'warn' : 'info']({ state }, `the chain: ${detail}`);
  };
}
