/**
 * The lines of a body of UTF-8 text, as they come, until the signal aborts. What follows the last line break is no
 * line.
 */
export async function* readLines(
  body: ReadableStream<Uint8Array> | null,
  signal?: AbortSignal,
): AsyncGenerator<string, undefined> {
  if (body === null) return undefined;
  const reader = body.getReader();
  // `fetch` of Node.js forgets its signal when the request is collected as garbage (nodejs/node issue 55428), and a
  // body that is read for hours outlives it: without this the read would go on.
  const cancel = (): void => void reader.cancel().catch(() => {});
  if (signal?.aborted === true) cancel();
  signal?.addEventListener('abort', cancel);
  try {
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      text += decoder.decode(value, { stream: true });
      const lines = text.split('\n');
      text = lines.pop() as string;
      for (const line of lines) if (line !== '') yield line;
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
}
