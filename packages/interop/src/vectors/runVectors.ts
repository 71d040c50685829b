import { bolt01Cases } from './bolt01.js';
import { bolt03Cases } from './bolt03.js';
import { bolt04Cases } from './bolt04.js';
import { bolt07Cases } from './bolt07.js';
import { bolt08Cases } from './bolt08.js';
import { bolt11Cases } from './bolt11.js';
import type { VectorCase } from './vectorCase.js';

/** Every official vector that is run. */
export function allVectorCases(): VectorCase[] {
  return [
    ...bolt01Cases(),
    ...bolt03Cases(),
    ...bolt04Cases(),
    ...bolt07Cases(),
    ...bolt08Cases(),
    ...bolt11Cases(),
  ];
}

/** The official vectors that are not run, each with the reason: what is left out is said. */
export const vectorsNotRun: readonly string[] = [
  'BOLT 2 splicing-test.md (message traces): splicing is not implemented',
  'BOLT 3 appendix A and BOLT 5 appendix A (expected weights): tests of core/tx compare the weights',
  'BOLT 3 appendix G, the negotiation: only its funding transaction is checked; dual funding is not implemented',
  'BOLT 4 route-blinding-test.json and blinded-payment-onion-test.json: route blinding is not implemented',
  'BOLT 4 blinded-onion-message-onion-test.json: onion messages are not implemented',
  'BOLT 12 (offers): not implemented',
];

/** Runs each case and prints how it went, then the sums. */
export function runVectors(
  cases: readonly VectorCase[],
  print: (line: string) => void,
): { passed: number; failed: number } {
  let passed = 0;
  let failed = 0;
  for (const { name, run } of cases) {
    try {
      run();
      passed++;
      print(`ok    ${name}`);
    } catch (error) {
      failed++;
      print(`FAIL  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  for (const left of vectorsNotRun) print(`not run  ${left}`);
  print(`${passed} passed, ${failed} failed`);
  return { passed, failed };
}
