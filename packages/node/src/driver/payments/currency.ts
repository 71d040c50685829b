import type { Network } from '@rivulet/chain';
import type { Invoice } from '@rivulet/core/invoice';

/** How invoices of a network begin (BOLT 11). */
export function currencyOf(network: Network): Invoice['currency'] {
  switch (network) {
    case 'mainnet':
      return 'bc';
    case 'testnet4':
      return 'tb';
    case 'signet':
      return 'tbs';
    case 'regtest':
      return 'bcrt';
  }
}
