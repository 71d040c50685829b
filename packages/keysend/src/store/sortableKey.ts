/** A whole number as text that sorts like the number: 16 digits, for the keys of a ToolkitStore. */
export function sortableNumber(value: number | bigint): string {
  return value.toString().padStart(16, '0');
}
