import { initCrypto } from '@rivulet/core/crypto';
import { describeMachine } from './machine.js';

type DescribedMachine = ReturnType<typeof describeMachine> & { cryptoBackend: string };

/** Loads crypto; says, unless it is for a program, beside what machine the figures stand, and how they came to be. */
export async function printMachine(
  { json }: { json: boolean },
  conditions: string,
): Promise<DescribedMachine> {
  const machine = { ...describeMachine(), cryptoBackend: await initCrypto() };
  if (!json) {
    const { cores, cpu, memoryGb, node, platform, cryptoBackend } = machine;
    console.log(
      `${cores} cores of ${cpu}, ${memoryGb} GB, ${platform}, Node.js ${node}, secp256k1 ${cryptoBackend}`,
    );
    console.log(conditions);
  }
  return machine;
}

/** Numbers for amounts, which JSON has no other way for. */
export function printJson(result: object): void {
  const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
  console.log(JSON.stringify(result, plain, 2));
}
