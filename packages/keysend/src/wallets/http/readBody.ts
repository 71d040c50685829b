/** More came than was allowed. */
export class BodyTooLarge extends Error {}

/** The pieces of a body, as they come. Ending early cancels it: the rest is not read. */
async function* pieces(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array, undefined> {
  if (body === null) return undefined;
  // Not `for await`: not every browser iterates over streams.
  const reader = body.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        ended = true;
        return undefined;
      }
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel().catch(() => {});
  }
}

/** All of a body of UTF-8 text. @throws BodyTooLarge */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  for await (const piece of pieces(body)) {
    length += piece.length;
    if (length > maxBytes) throw new BodyTooLarge(`more than ${maxBytes} bytes`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * The lines of a body of UTF-8 text, as they come, the empty ones left out, and what follows the last line break as
 * well: a server that ends its answer there has said it. @throws BodyTooLarge for a line that is too long
 */
export async function* readLines(
  body: ReadableStream<Uint8Array> | null,
  maxLineBytes: number,
): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  for await (const piece of pieces(body)) {
    let from = 0;
    for (;;) {
      const end = piece.indexOf(10, from);
      const part = piece.subarray(from, end === -1 ? piece.length : end);
      length += part.length;
      if (length > maxLineBytes) throw new BodyTooLarge(`a line of more than ${maxLineBytes} bytes`);
      parts.push(decoder.decode(part, { stream: true }));
      if (end === -1) break;
      const line = parts.join('').trim();
      parts = [];
      length = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
  }
  parts.push(decoder.decode());
  const line = parts.join('').trim();
  if (line !== '') yield line;
  return undefined;
}
