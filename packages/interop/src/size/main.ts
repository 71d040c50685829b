import { fileURLToPath } from 'node:url';
import { bundleForBrowser } from './bundle.js';
import { sizedEntries } from './entries.js';

const folder = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const columns = (name: string, minified: string, gzipped: string): string =>
  `${name.padEnd(30)}${minified.padStart(12)}${gzipped.padStart(12)}`;

console.log(columns('bytes in a browser', 'minified', 'gzip -9'));
for (const { name, source, mostBytes } of sizedEntries) {
  const { minifiedBytes, gzipBytes } = await bundleForBrowser(source, folder);
  const tooLarge = mostBytes !== undefined && gzipBytes > mostBytes;
  const remark = mostBytes === undefined ? '' : `  ${tooLarge ? 'MORE THAN' : 'at most'} ${mostBytes}`;
  console.log(columns(name, `${minifiedBytes}`, `${gzipBytes}`) + remark);
  if (tooLarge) process.exitCode = 1;
}
