const inputCharset =
  '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ ';
const checksumCharset = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn];

function polymod(checksum: bigint, value: number): bigint {
  const top = checksum >> 35n;
  let next = ((checksum & 0x7ffffffffn) << 5n) ^ BigInt(value);
  generator.forEach((term, bit) => {
    if (((top >> BigInt(bit)) & 1n) === 1n) next ^= term;
  });
  return next;
}

/**
 * An output descriptor with its checksum, as Bitcoin Core and other wallets read it (BIP 380).
 * @throws RangeError for a character that no descriptor has.
 */
export function withChecksum(descriptor: string): string {
  let checksum = 1n;
  let group = 0;
  let grouped = 0;
  for (const character of descriptor) {
    const position = inputCharset.indexOf(character);
    if (position < 0) throw new RangeError('a descriptor has a character that is not allowed');
    checksum = polymod(checksum, position & 31);
    group = group * 3 + (position >> 5);
    if (++grouped < 3) continue;
    checksum = polymod(checksum, group);
    group = 0;
    grouped = 0;
  }
  if (grouped > 0) checksum = polymod(checksum, group);
  for (let i = 0; i < 8; i++) checksum = polymod(checksum, 0);
  checksum ^= 1n;
  let text = '';
  for (let i = 7; i >= 0; i--) text += checksumCharset[Number((checksum >> BigInt(5 * i)) & 31n)];
  return `${descriptor}#${text}`;
}
