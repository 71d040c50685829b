import { setTimeout as sleep } from 'node:timers/promises';

/** Asks other processes again and again. @throws Error after a minute in vain. */
export async function untilTrue(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(10)) if (await check()) return;
  throw new Error(`the benchmark waited a minute in vain for ${what}`);
}
