/** `1,234.567 sat`: an amount as messages to people say it. Takes millisatoshi, also as digits. */
export function amountText(amount: bigint | string): string {
  const amountMsat = BigInt(amount);
  if (amountMsat < 0n) return `-${amountText(-amountMsat)}`;
  const whole = (amountMsat / 1000n).toString().replace(/\B(?=(\d{3})+$)/g, ',');
  const rest = (amountMsat % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${whole}${rest === '' ? '' : `.${rest}`} sat`;
}
