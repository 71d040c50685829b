import { mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { destination, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** What the daemon's parts write their log to. */
export type Logger = Pick<PinoLogger, 'error' | 'warn' | 'info' | 'debug' | 'trace'> & {
  child(bindings: Record<string, unknown>): Logger;
};

/** Keys whose values never reach a log, at the top and one and two levels down. */
const secretKeys = [
  'password',
  'token',
  'authorization',
  'cookie',
  'secret',
  'seed',
  'mnemonic',
  'entropy',
  'privateKey',
  'nodePrivateKey',
  'preimage',
  'paymentPreimage',
  'perCommitmentSecret',
];

const redactedPaths = secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

/** Byte strings as hex, big integers as decimal: pino would write an object and throw, respectively. */
function printable(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}

/** Where log lines go, for tests. */
export interface LogSink {
  write(line: string): void;
}

/** Appends to a file. A full disk costs lines of the log, and must not cost the node its life. */
function fileSink(file: string): LogSink {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const descriptor = openSync(file, 'a', 0o600);
  let lost = 0;
  return {
    write(line) {
      try {
        // A line may have been written in part before the disk was full.
        writeSync(descriptor, lost === 0 ? line : `\n${line}`);
        if (lost > 0) process.stderr.write(`the log ${file} is written again; ${lost} lines were lost\n`);
        lost = 0;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (lost === 0) process.stderr.write(`the log ${file} cannot be written (${code}): lines are lost\n`);
        lost++;
      }
    },
  };
}

/**
 * A log of JSON lines. Values under the names of secrets are replaced; `bigint` and byte strings at the
 * top level become text. Errors belong under `err`.
 * @param to a file that lines are appended to, `stderr`, or a sink.
 */
export function createLogger(options: {
  level: LogLevel;
  to: { readonly file: string } | 'stderr' | LogSink;
}): Logger {
  const { level, to } = options;
  const stream = to === 'stderr' ? destination({ fd: 2, sync: true }) : 'file' in to ? fileSink(to.file) : to;
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: redactedPaths, censor: '[redacted]' },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) =>
          Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, printable(value)])),
      },
    },
    stream,
  );
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** The first eight digits: enough to tell ids apart in a log. */
function shortId(id: string | Uint8Array): string {
  return typeof id === 'string' ? id.slice(0, 8) : Buffer.from(id.subarray(0, 4)).toString('hex');
}

/** The log of all that concerns one peer. */
export function peerLogger(logger: Logger, nodeId: string | Uint8Array): Logger {
  return logger.child({ peer: shortId(nodeId) });
}

/** The log of all that concerns one channel. */
export function channelLogger(logger: Logger, channelId: string | Uint8Array): Logger {
  return logger.child({ channel: shortId(channelId) });
}
