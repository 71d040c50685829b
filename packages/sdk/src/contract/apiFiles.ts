import { z } from 'zod';

/** In the data folder: the API's token, 64 hex digits, readable by its owner alone. */
export const tokenFileName = 'api-token';

/** In the data folder while the daemon runs: where its API is. */
export const apiFileName = 'api.json';

/** The content of api.json. */
export const apiFile = z.object({ url: z.url(), pid: z.int() });
