import { describe, test } from 'vitest';
import { smokeCases } from './cases/index.js';
import { runInteropCase } from './interopCase.js';

/** All the cases run by `npm run interop`. */
describe.each(['anchors', 'static_remotekey'] as const)('with LDK, channel type %s', (channelType) => {
  test.each(smokeCases.map((each) => [each.name, each] as const))('%s', async (_, each) => {
    await runInteropCase(each, channelType);
  });
});
