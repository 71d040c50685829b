import type { Regtest, RegtestOptions } from '@rivulet/chain';
import type { runDaemon } from '@rivulet/node';

/** The world around a command: given, so that commands run in tests as they are. */
export interface CliContext {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether a person watches the output, and the errors. */
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  /** Asks the person at the terminal one question; undefined where there is nobody to ask. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Calls once, later; the result cancels it. */
  readonly schedule: (delayMs: number, run: () => void) => () => void;
  /** Loaded when needed: most commands have no daemon inside. */
  readonly loadRunDaemon: () => Promise<typeof runDaemon>;
  readonly loadStartRegtest: () => Promise<(options: RegtestOptions) => Promise<Regtest>>;
}

/** Options of every command. */
export interface GlobalOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** Resolves when Ctrl-C is pressed. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
