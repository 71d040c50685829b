import { createReadStream } from 'node:fs';
import { usageError } from '../cliError.js';

/** No line of a log is longer; whoever gives a file without line feeds fills no memory. */
const longestLine = 1_000_000;

/**
 * The lines of a file as they are. Only a line feed ends a line: what else readers of lines take for an end may stand
 * inside an entry.
 * @throws CliError where the file cannot be read.
 */
export async function* linesOf(file: string): AsyncGenerator<string> {
  const stream = file === '-' ? process.stdin : createReadStream(file);
  stream.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
      if (rest.length > longestLine) {
        yield rest.slice(0, longestLine);
        return;
      }
    }
  } catch (cause) {
    throw usageError(`the log cannot be read: ${(cause as Error).message}`);
  }
  if (rest !== '') yield rest;
}
