#!/usr/bin/env node
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { CliContext } from './cliContext.js';
import { exitCodes } from './cliError.js';
import { runCli } from './runCli.js';

const interrupt = new AbortController();
// SIGHUP: the terminal was closed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A second Ctrl-C does not wait.
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort();
  });
}
// `rivulet channels | head -1` closes our output early.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
});
// Nobody reads what is said beside the output: no reason to end.
process.stderr.on('error', () => {});

/** On stderr, so that the output stays what was asked for. No answer (Ctrl-D, Ctrl-C) is an empty one. */
async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  lines.on('SIGINT', () => interrupt.abort());
  const noMore = new AbortController();
  lines.once('close', () => noMore.abort());
  const signal = AbortSignal.any([interrupt.signal, noMore.signal]);
  try {
    return await lines.question(question, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    process.stderr.write('\n');
    return '';
  } finally {
    lines.close();
  }
}

const context: CliContext = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  outIsTty: process.stdout.isTTY === true,
  errIsTty: process.stderr.isTTY === true,
  ask: process.stdin.isTTY === true && process.stderr.isTTY === true ? ask : undefined,
  env: process.env,
  homeDir: homedir(),
  signal: interrupt.signal,
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  loadRunDaemon: async () => (await import('@rivulet/node')).runDaemon,
  loadStartRegtest: async () => (await import('@rivulet/chain')).startRegtest,
};

process.exitCode = await runCli(process.argv.slice(2), context);
