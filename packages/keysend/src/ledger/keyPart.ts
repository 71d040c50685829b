/** A text as one part of a key of the store: without the slash, which parts the parts. */
export function keyPart(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('/', '%2F');
}
