import { initCrypto } from '@rivulet/core/crypto';
import { allVectorCases, runVectors } from './runVectors.js';

await initCrypto();
const { passed, failed } = runVectors(allVectorCases(), console.log);
if (failed > 0 || passed === 0) process.exitCode = 1;
