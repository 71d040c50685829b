import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InteropError } from './waitUntil.js';

/** The built program, which its users run: `npm run build` makes it. */
const program = fileURLToPath(new URL('../../../cli/dist/main.js', import.meta.url));

/** A run of `rivulet`. */
export interface ProgramRun {
  /** The first line that it prints, read as JSON. Rejects when it ends without one. */
  readonly firstLine: Promise<unknown>;
  readonly exited: Promise<void>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Starts `rivulet` with --json. */
export function startRivuletProgram(args: readonly string[]): ProgramRun {
  const child: ChildProcess = spawn(process.execPath, [program, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '' },
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const firstLine = new Promise<unknown>((resolve, reject) => {
    const lines = createInterface({ input: child.stdout! });
    // All of it is read, so that it never waits for a reader.
    lines.on('line', (line) => resolve(JSON.parse(line)));
    child.once('close', (code) =>
      reject(new InteropError('interop_unexpected', `rivulet ${args[0]} ended with ${code}: ${complaint}`)),
    );
  });
  firstLine.catch(() => {});
  return { firstLine, exited, kill: (signal) => void child.kill(signal) };
}

/** Runs a command of `rivulet` to its end. @returns what it answers. @throws InteropError with its complaint */
export async function runRivuletProgram(args: readonly string[]): Promise<unknown> {
  const run = startRivuletProgram(args);
  await run.exited;
  return run.firstLine;
}
