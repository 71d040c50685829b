/** More than lightningd would ever say at once. */
const maxLength = 64_000_000;

/**
 * Cuts a stream into its JSON objects. lightningd puts line breaks between them, and promises none: an object ends
 * with its own closing brace.
 */
export class JsonSplitter {
  #text = '';
  #at = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;

  /** @throws Error for what is no JSON or far too long. */
  push(text: string): unknown[] {
    this.#text += text;
    if (this.#text.length > maxLength) throw new Error('a message is too long');
    const found: unknown[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (this.#escaped) this.#escaped = false;
      else if (this.#inText) {
        if (character === '\\') this.#escaped = true;
        else if (character === '"') this.#inText = false;
      } else if (character === '"') this.#inText = true;
      else if (character === '{') this.#depth++;
      else if (character === '}' && --this.#depth === 0) {
        found.push(JSON.parse(this.#text.slice(0, this.#at + 1)));
        this.#text = this.#text.slice(this.#at + 1);
        this.#at = -1;
      }
    }
    return found;
  }
}
