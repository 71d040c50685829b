/** The text of a feed's bytes, by its byte order mark, its XML declaration, or as UTF-8. Nothing here can fail. */
export function feedText(xml: Uint8Array | string): { text: string; problem?: string } {
  if (typeof xml === 'string') return { text: xml.startsWith('\ufeff') ? xml.slice(1) : xml };
  const marked = byMark(xml);
  if (marked !== undefined) return decode(xml, marked);
  const declared = declaredEncoding(xml);
  if (declared === undefined) return decode(xml, 'utf-8');
  // Whoever can read a declaration in ASCII does not have UTF-16 before them.
  if (/^utf-?(?:16|32)/i.test(declared)) {
    return {
      ...decode(xml, 'utf-8'),
      problem: `it is declared as ${declared}, which it is not: read as UTF-8`,
    };
  }
  try {
    return decode(xml, declared);
  } catch {
    return { ...decode(xml, 'utf-8'), problem: `its encoding ${declared} is not known: read as UTF-8` };
  }
}

function byMark(xml: Uint8Array): string | undefined {
  if (xml[0] === 0xef && xml[1] === 0xbb && xml[2] === 0xbf) return 'utf-8';
  if (xml[0] === 0xff && xml[1] === 0xfe) return 'utf-16le';
  if (xml[0] === 0xfe && xml[1] === 0xff) return 'utf-16be';
  return undefined;
}

function declaredEncoding(xml: Uint8Array): string | undefined {
  let head = '';
  for (const byte of xml.subarray(0, 200)) head += String.fromCharCode(byte);
  const declaration = /^\s*<\?xml\s[^>]{0,180}?encoding\s*=\s*["']([A-Za-z][\w.:-]{0,40})["']/.exec(head);
  return declaration?.[1];
}

/** What 0x80 to 0x9f are in windows-1252, which is what the web means by ISO-8859-1 as well. */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

function decode(xml: Uint8Array, label: string): { text: string; problem?: string } {
  try {
    const decoder = new TextDecoder(label, { fatal: true });
    const text = decoder.decode(xml);
    if (decoder.encoding !== 'windows-1252') return { text };
    // Some releases of Node.js take a short cut here and leave these as control characters.
    return { text: text.replace(/[\x80-\x9f]/g, (char) => WINDOWS_1252[char.charCodeAt(0) - 0x80] ?? char) };
  } catch (error) {
    // A RangeError is about the label, and the caller's.
    if (error instanceof RangeError) throw error;
    const text = new TextDecoder(label).decode(xml);
    return { text, problem: `it has bytes that are not ${label}: they are replaced` };
  }
}
