import { RivuletError } from '@rivulet/core/bytes';
import { ClientError, type EndpointName, encodeResponse, type ResponseOf } from '@rivulet/sdk';
import type { CliContext, GlobalOptions } from './cliContext.js';
import { printable } from './format/text.js';

type Style = 'red' | 'green' | 'yellow' | 'bold' | 'dim';
const codes: Readonly<Record<Style, number>> = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 };

/** Colours, where a person watches and has not asked for none (NO_COLOR). */
export function styler(context: CliContext, stream: 'out' | 'err') {
  const isTty = stream === 'out' ? context.outIsTty : context.errIsTty;
  const coloured = isTty && (context.env.NO_COLOR ?? '') === '' && context.env.TERM !== 'dumb';
  return (style: Style, text: string): string =>
    coloured ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

/** Prints an answer of the daemon: as the JSON of the contract, or as text for people. */
export function printAnswer<N extends EndpointName>(
  context: CliContext,
  given: {
    options: GlobalOptions;
    endpoint: N;
    answer: ResponseOf<N>;
    text: (answer: ResponseOf<N>) => string;
  },
): void {
  const { options, endpoint, answer, text } = given;
  if (options.json === true) printJson(context, encodeResponse(endpoint, answer));
  else context.out(`${text(answer)}\n`);
}

/** Amounts as digits: they may be more than a number of JSON holds. */
export function printJson(context: CliContext, value: unknown): void {
  const digits = (_: string, part: unknown) => (typeof part === 'bigint' ? part.toString() : part);
  context.out(`${JSON.stringify(value, digits)}\n`);
}

/** What the system calls the error (`EADDRINUSE`); `undefined` for all that it did not raise. */
export function systemCode(error: Error): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined ? undefined : code;
}

/** Tells of an error: a sentence, or the error shape of the API for `--json`. */
export function printError(
  context: CliContext,
  given: { error: unknown; hint?: string; json: boolean },
): void {
  const { error, hint, json } = given;
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    const known = error instanceof Error ? systemCode(error) : undefined;
    const code = error instanceof RivuletError ? error.code : (known ?? 'internal_error');
    const details = error instanceof ClientError ? error.details : undefined;
    context.err(`${JSON.stringify({ error: { code, message, details } })}\n`);
    return;
  }
  const style = styler(context, 'err');
  context.err(`${style('red', 'error:')} ${message.split('\n').map(printable).join('\n')}\n`);
  if (hint !== undefined) context.err(`${hint}\n`);
}

const quietMs = 2_000;

/** Waits for something slow: after two seconds, says on stderr what is being waited for. */
export async function withProgress<T>(
  context: CliContext,
  given: { what: string; options: GlobalOptions; work: Promise<T> },
): Promise<T> {
  const { what, options, work } = given;
  if (options.json === true) return work;
  let seconds = quietMs / 1000;
  let cancel = context.schedule(quietMs, tick);
  function tick(): void {
    if (!context.errIsTty) {
      context.err(`${what}…\n`);
      return;
    }
    context.err(`\r${what}… ${seconds} s`);
    seconds++;
    cancel = context.schedule(1_000, tick);
  }
  try {
    return await work;
  } finally {
    cancel();
    if (context.errIsTty && seconds > quietMs / 1000) context.err(`\r${' '.repeat(what.length + 12)}\r`);
  }
}
