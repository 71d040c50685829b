/** @throws RangeError with a sentence for the user. */
export function positiveArgument(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`--${name}: ${text} is no number from 1`);
  }
  return value;
}
