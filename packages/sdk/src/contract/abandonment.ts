import { z } from 'zod';
import { hex, sat, txidHex } from './fields.js';

/** Endpoints about channels whose funding transaction does not confirm. */
export const abandonmentEndpoints = {
  abandonChannel: {
    method: 'POST',
    path: '/v1/abandon-channel',
    request: z.strictObject({
      /** One that we have opened, that no block has yet, and that nothing was paid over. */
      channelId: hex(32),
      /** Of the transaction that takes the coins back; from an estimate where it is absent. */
      feeratePerKw: z.int().min(253).optional(),
      /** Fees above the usual bound need it. */
      maxFeeSat: sat.optional(),
    }),
    response: z.object({
      channelId: hex(32),
      /** The transaction that takes the coins back. */
      txidHex,
      feeSat: sat,
      /** Whether a mempool has it; else it is sent again at every block. */
      accepted: z.boolean(),
      /** Why it is not accepted. */
      message: z.string().optional(),
    }),
  },
} as const;
