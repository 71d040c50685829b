/** The lines of a body of UTF-8 text, as they come. What follows the last line break is no line. */
export async function* readLines(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<string, undefined> {
  if (body === null) return undefined;
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    text = lines.pop() as string;
    for (const line of lines) if (line !== '') yield line;
  }
  return undefined;
}
