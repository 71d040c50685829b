/** The preimage of a keysend (bLIP 3): set by wallets alone. */
export const keysendRecordType = 5482373484n;
/** bLIP 10. */
export const boostagramRecordType = 7629169n;
/** A message in plain text, as Whatsat began it. */
export const messageRecordType = 34349334n;
/** BOLT 4: what is below belongs to the protocol. */
export const firstCustomType = 65536n;
/** Types are BigSize: 64 bits. */
export const lastCustomType = (1n << 64n) - 1n;
