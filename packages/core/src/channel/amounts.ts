/** The smaller of two amounts: Math.min takes no bigint. */
export function lesser(a: bigint, b: bigint): bigint {
  if (b < a) return b;
  return a;
}

/** The larger of two amounts. */
export function greater(a: bigint, b: bigint): bigint {
  if (b > a) return b;
  return a;
}
