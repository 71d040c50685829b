import { initCrypto } from '@rivulet/core/crypto';

await initCrypto();
