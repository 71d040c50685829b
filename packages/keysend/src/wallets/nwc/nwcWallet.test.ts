import { beforeAll, vi } from 'vitest';
import { walletSuite } from '../walletSuite.test.support.js';
import { nwcWorld } from './nwcWorld.test.support.js';

beforeAll(() => {
  // The SDK of the other side talks much.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => {});
});

walletSuite('NWC with NIP-44', () => nwcWorld());
walletSuite('NWC with NIP-04', () => nwcWorld({ encryption: 'nip04' }));
