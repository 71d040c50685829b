import type { Command } from 'commander';
import type { CliContext, GlobalOptions } from '../cliContext.js';

/** Adds one command to the program. */
export type RegisterCommand = (program: Command, context: CliContext) => void;

/** The options of a command together with those of the program. */
export function allOptions<O>(command: Command): O & GlobalOptions {
  return command.optsWithGlobals() as O & GlobalOptions;
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

/** For an option that may be given several times. */
export function everyValue(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
