/** Base64 (RFC 4648, section 4) by the platform's own functions. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Either alphabet, with or without padding. @throws Error for what is no base64 */
export function fromBase64(text: string): Uint8Array {
  const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  // `atob` skips spaces.
  if (!/^[A-Za-z0-9+/]*$/.test(plain)) throw new RangeError('this is no base64');
  return Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0));
}
