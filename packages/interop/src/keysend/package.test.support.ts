import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const repository = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
export const consumerFixtures = fileURLToPath(new URL('../../fixtures/consumer', import.meta.url));

/** What an app that installs the toolkit gets of this repository. */
const published = ['core', 'sdk', 'storage', 'keysend'] as const;

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Packs the packages as they would be published. @returns the tarball of each, by the package's name */
function packAll(folder: string): ReadonlyMap<string, string> {
  const workspaces = published.flatMap((name) => ['--workspace', `@rivulet/${name}`]);
  const packing = ['pack', '--json', '--ignore-scripts', '--offline', '--pack-destination', folder];
  const output = execFileSync('npm', [...packing, ...workspaces], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 64 << 20,
  });
  const packed = JSON.parse(output) as readonly { readonly name: string; readonly filename: string }[];
  return new Map(
    packed.map(({ name, filename }) => [
      name,
      join(
        folder,
        filename.replace(/^@|\//g, (found) => (found === '/' ? '-' : '')),
      ),
    ]),
  );
}

/** Every file below a folder, as paths from there. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

export interface Project {
  readonly folder: string;
  /** Where the files of a package are. */
  readonly packages: ReadonlyMap<string, string>;
}

/**
 * An empty project into which the tarballs are installed, without the network: each package finds what its own
 * package.json declares and nothing else, so that one that is used and not declared is missed.
 */
export function installed(): Project {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rivulet-package-')));
  const tarballs = packAll(folder);
  const packages = new Map<string, string>();
  for (const [name, tarball] of tarballs) {
    const place = join(folder, '.store', name.replace('/', '+'));
    mkdirSync(place, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', place]);
    packages.set(name, join(place, 'package'));
  }
  for (const [name, place] of packages) {
    const home = join(repository, 'packages', name.replace('@rivulet/', ''));
    for (const dependency of Object.keys(manifestOf(place).dependencies ?? {})) {
      link(packages.get(dependency) ?? thirdParty(dependency, home), join(place, 'node_modules', dependency));
    }
  }
  link(packages.get('@rivulet/keysend') as string, join(folder, 'node_modules', '@rivulet/keysend'));
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', type: 'module', private: true }),
  );
  return { folder, packages };
}

function link(target: string, place: string): void {
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(target, place, 'dir');
}

/** Where npm has put a dependency of a package of this repository. */
function thirdParty(name: string, home: string): string {
  if (name.startsWith('@rivulet/')) throw new Error(`${name} is not among what is published`);
  for (let at = home; ; at = dirname(at)) {
    const place = join(at, 'node_modules', name);
    if (existsSync(place)) return realpathSync(place);
    if (at === dirname(at)) throw new Error(`${name} is not installed`);
  }
}

/** Gives the project a development dependency of this repository. */
export function addTypes({ folder }: Project, name: string): void {
  link(thirdParty(name, repository), join(folder, 'node_modules', name));
}

export function copyFixture({ folder }: Project, name: string): void {
  cpSync(join(consumerFixtures, name), join(folder, name));
}

/**
 * Compiles files of the project.
 * @returns what the compiler says; nothing where all is well.
 */
export function compile(
  { folder }: Project,
  files: readonly string[],
  options: Readonly<Record<string, unknown>>,
): string {
  const config = {
    compilerOptions: {
      target: 'es2022',
      strict: true,
      noUncheckedIndexedAccess: true,
      rootDir: '.',
      ...options,
    },
    files,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return '';
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout ?? error);
  }
}

/** Runs a module of the project with plain Node.js. @returns what it prints */
export function run({ folder }: Project, file: string): string {
  return execFileSync(process.execPath, [file], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The same while this process goes on, and serves what the module talks to. */
export async function runAside({ folder }: Project, file: string): Promise<string> {
  return (await promisify(execFile)(process.execPath, [file], { cwd: folder, encoding: 'utf8' })).stdout;
}
