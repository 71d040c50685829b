import { type ChildProcess, fork } from 'node:child_process';
import type { SettlementAnswer, SettlementTask } from './settlementChild.js';
import { nameOf, type Situation } from './situation.js';

export interface SituationResult {
  readonly name: string;
  readonly ms: number;
  /** Why it failed; absent where it passed. */
  readonly error?: string;
}

export interface RunAllOptions {
  readonly jobs: number;
  readonly parent: string;
  readonly withLog: boolean;
  readonly onResult: (result: SituationResult) => void;
}

/** Runs situations in processes of their own, each of which takes the next one when it has done its last. */
export async function runAll(
  situations: readonly Situation[],
  { jobs, parent, withLog, onResult }: RunAllOptions,
): Promise<SituationResult[]> {
  const waiting = [...situations];
  const results: SituationResult[] = [];
  const report = (result: SituationResult) => {
    results.push(result);
    onResult(result);
  };
  const work = async (): Promise<void> => {
    while (waiting.length > 0) await serve();
  };

  /** One process, until there is nothing left or it ends. */
  function serve(): Promise<void> {
    return new Promise((resolve) => {
      const child: ChildProcess = fork(new URL('./settlementChild.js', import.meta.url));
      let at: Situation | undefined;
      child.on('message', (answer: SettlementAnswer) => {
        if (at !== undefined && 'ms' in answer) report({ name: nameOf(at), ...answer });
        at = waiting.shift();
        if (at === undefined) {
          child.disconnect();
          return;
        }
        const task: SettlementTask = { situation: at, parent, withLog };
        child.send(task);
      });
      child.on('exit', (code) => {
        if (at !== undefined) report({ name: nameOf(at), ms: 0, error: `its process ended with ${code}` });
        resolve();
      });
    });
  }

  await Promise.all(Array.from({ length: Math.min(jobs, situations.length) }, work));
  return results;
}
