import * as z from 'zod/mini';

/** An amount as it is stored: digits, in msat. */
export const msatText = z.string().check(z.regex(/^\d{1,20}$/));
