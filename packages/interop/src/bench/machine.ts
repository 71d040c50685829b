import { availableParallelism, cpus, totalmem } from 'node:os';

/** The machine beside which absolute figures stand. */
export function describeMachine(): {
  cpu: string;
  cores: number;
  memoryGb: number;
  node: string;
  platform: string;
} {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}
