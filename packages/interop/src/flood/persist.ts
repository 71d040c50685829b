import { ClientError } from '@rivulet/sdk';

const maxTries = 5;

/** Makes a call that may be made twice: a busy machine loses a connection now and then. */
export async function persist<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'connection_lost' || tries >= maxTries)
        throw error;
    }
  }
}
