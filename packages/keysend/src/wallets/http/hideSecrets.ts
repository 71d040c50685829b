const maxLength = 300;

/** Text of others for a message: one line, not long, and without what must not be shown, even if they send it back. */
export function shownText(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) {
    if (secret !== '') shown = shown.replaceAll(secret, '[hidden]');
  }
  // With what would turn the direction of the text around.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  shown = shown.replace(/[\s\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim();
  return shown.length > maxLength ? `${shown.slice(0, maxLength)}…` : shown;
}

/** Whether an error, or what caused it, has one of the secrets in it. */
export function tellsOf(error: unknown, secrets: readonly string[], depth = 0): boolean {
  if (depth > 5 || typeof error !== 'object' || error === null) return false;
  const { message, stack, cause } = error as { message?: unknown; stack?: unknown; cause?: unknown };
  const text = `${String(message)}\n${String(stack)}`;
  return (
    secrets.some((secret) => secret !== '' && text.includes(secret)) || tellsOf(cause, secrets, depth + 1)
  );
}
