import { gzipSync } from 'node:zlib';
import { type OutputChunk, rolldown } from 'rolldown';

export interface Bundle {
  /** An ES module that imports nothing. */
  readonly code: string;
  /** The same as a classic script, which leaves its exports in the global `toolkit`. */
  readonly script: string;
  readonly minifiedBytes: number;
  /** As a server would send it: gzip at its highest level. */
  readonly gzipBytes: number;
}

const entryName = 'bundled-entry.mjs';

/**
 * What a browser app would load: one minified file, everything in it.
 * @param source the module to bundle.
 * @param folder where its imports are looked for.
 * @throws Error where something in it is for Node.js, is missing, or is loaded later.
 */
export async function bundleForBrowser(source: string, folder: string): Promise<Bundle> {
  const warnings: string[] = [];
  const build = await rolldown({
    input: entryName,
    cwd: folder,
    platform: 'browser',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entryName ? `${folder}/${entryName}` : undefined),
        load: (id) => (id === `${folder}/${entryName}` ? source : undefined),
      },
    ],
    onLog: (_level, { message }) => warnings.push(message),
  });
  try {
    const { output } = await build.generate({ format: 'esm', minify: true });
    const chunks = output.filter((part): part is OutputChunk => part.type === 'chunk');
    const [first, ...others] = chunks;
    const outside = chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
    if (first === undefined || others.length > 0 || outside.length > 0 || warnings.length > 0) {
      throw new Error(`not one file that runs in a browser: ${[...outside, ...warnings].join('\n')}`);
    }
    const { code } = first;
    const classic = await build.generate({ format: 'iife', name: 'toolkit', minify: true });
    return {
      code,
      script: classic.output[0].code,
      minifiedBytes: Buffer.byteLength(code),
      gzipBytes: gzipSync(code, { level: 9 }).length,
    };
  } finally {
    await build.close();
  }
}
