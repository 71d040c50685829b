import { usageError } from '../cliError.js';

/** A whole number as a person types it. @throws CliError */
export function parseWholeNumber(
  text: string,
  given: { readonly what: string; readonly minimum: number; readonly maximum: number },
): number {
  const { what, minimum, maximum } = given;
  const plain = /^\d{1,3}([,_]\d{3})+$/.test(text) ? text.replace(/[,_]/g, '') : text;
  const value = /^\d{1,16}$/.test(plain) ? Number(plain) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  throw usageError(
    `${what} must be a whole number from ${minimum} to ${maximum}, not ${JSON.stringify(text)}`,
  );
}

const secondsOf: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const secondsOfYear = 31_536_000;

/** `90`, `90s`, `30m`, `1h`, `7d`, `2w`: at most a year. @throws CliError */
export function parseSeconds(text: string, what: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9}) ?([smhdw]?)$/.exec(text) ?? [];
  const seconds = Number(digits) * (secondsOf[unit] ?? 0);
  if (seconds >= 1 && seconds <= secondsOfYear) return seconds;
  throw usageError(
    `${what} must be a time of at most a year, such as 90s, 30m, 1h or 7d, not ${JSON.stringify(text)}`,
  );
}

/** `in 59 minutes`, `2 hours ago`: how far a time is from now, in the largest unit that tells it well. */
export function formatDistance(timeMs: number, nowMs: number): string {
  const seconds = Math.round(Math.abs(timeMs - nowMs) / 1000);
  const [unit, size] = (
    [
      ['day', 86_400],
      ['hour', 3_600],
      ['minute', 60],
      ['second', 1],
    ] as const
  ).find(([, length]) => seconds >= 2 * length) ?? ['second', 1];
  const count = Math.floor(seconds / size);
  const distance = `${count} ${unit}${count === 1 ? '' : 's'}`;
  return timeMs >= nowMs ? `in ${distance}` : `${distance} ago`;
}

/** `144 blocks (about 24 hours)`. */
export function formatBlocks(blocks: number): string {
  const hours = blocks / 6;
  const time = hours < 10 ? hours.toFixed(1).replace(/\.0$/, '') : Math.round(hours).toString();
  return `${blocks} ${blocks === 1 ? 'block' : 'blocks'} (about ${time} ${time === '1' ? 'hour' : 'hours'})`;
}

/** A probability: `93 %`, and what is not quite sure is never 100. */
export function formatProbability(probability: number): string {
  const percent = probability * 100;
  if (percent >= 99.5 && probability < 1) return 'over 99 %';
  if (percent < 1) return probability === 0 ? '0 %' : 'below 1 %';
  return `${Math.round(percent)} %`;
}
