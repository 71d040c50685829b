#!/usr/bin/env node
import { homedir } from 'node:os';
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

const context: CliContext = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  outIsTty: process.stdout.isTTY === true,
  errIsTty: process.stderr.isTTY === true,
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
