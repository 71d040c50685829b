import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  addTypes,
  compile,
  consumerFixtures,
  copyFixture,
  filesOf,
  installed,
  type Project,
  repository,
  run,
} from './package.test.support.js';

const names = ['@rivulet/core', '@rivulet/sdk', '@rivulet/storage', '@rivulet/keysend'];
let project: Project;

beforeAll(() => {
  project = installed();
  addTypes(project, '@types/node');
  for (const name of ['everything.ts', 'page.ts']) copyFixture(project, name);
});

afterAll(() => rmSync(project.folder, { recursive: true }));

const folderOf = (name: string): string => project.packages.get(name) as string;
const homeOf = (name: string): string => join(repository, 'packages', name.replace('@rivulet/', ''));

describe('the packed toolkit', () => {
  test.each(names)('%s has its licence, its code, and nothing that is for its own tests', (name) => {
    const files = filesOf(folderOf(name)).filter((file) => !file.startsWith('node_modules/'));
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'package.json']));
    expect(
      files.filter((file) => !/^(?:dist|src|bin)\/|^(?:LICENSE|README\.md|package\.json)$/.test(file)),
    ).toEqual([]);
    expect(files.filter((file) => /\.test\.|fixtures|tsbuildinfo|\/testing\//.test(file))).toEqual([]);
    expect(files.filter((file) => file.startsWith('dist/') && file.endsWith('.js')).length).toBeGreaterThan(
      5,
    );
  });

  test('@rivulet/keysend has its README', () => {
    expect(existsSync(join(folderOf('@rivulet/keysend'), 'README.md'))).toBe(true);
  });

  test.each(names)('%s has source maps that lead to files of its own', (name) => {
    const folder = folderOf(name);
    const maps = filesOf(join(folder, 'dist')).filter((file) => file.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(5);
    for (const map of maps) {
      const path = join(folder, 'dist', map);
      const { sources } = JSON.parse(readFileSync(path, 'utf8')) as { sources: string[] };
      for (const source of sources) {
        const target = resolve(dirname(path), source);
        // What an earlier build has left behind, of a file that is no more.
        if (!existsSync(target.replace(folder, homeOf(name)))) continue;
        expect(target.startsWith(`${folder}/src/`) && existsSync(target), `${map} leads to ${source}`).toBe(
          true,
        );
      }
    }
  });

  test.each(names)('%s exports files that are there', (name) => {
    const folder = folderOf(name);
    const { exports, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      exports: Record<string, Record<string, string>>;
      bin?: Record<string, string>;
    };
    const paths = Object.entries(exports).flatMap(([entry, targets]) =>
      entry.includes('*') ? [] : Object.values(targets),
    );
    for (const path of [...paths, ...Object.values(bin ?? {})]) {
      expect(existsSync(join(folder, path)), path).toBe(true);
    }
  });

  test('is installed without the node, the chain and the command line', () => {
    const reached = names.flatMap((name) =>
      Object.keys(JSON.parse(readFileSync(join(folderOf(name), 'package.json'), 'utf8')).dependencies),
    );
    expect(reached.filter((name) => name.startsWith('@rivulet/') && !names.includes(name))).toEqual([]);
  });

  test('is used through every entry in Node.js, compiled against its own types', () => {
    const options = { module: 'nodenext', moduleResolution: 'nodenext', types: ['node'], skipLibCheck: true };
    expect(compile(project, ['everything.ts'], { ...options, lib: ['es2023'] })).toBe('');
    expect(run(project, 'everything.js').trim().split('\n')).toEqual([
      '. and ./feed',
      './nwc',
      './automation',
      './receiving',
      './policy',
      './proof',
      './compliance and ./sqlite',
      './node',
    ]);
    const { exports } = JSON.parse(
      readFileSync(join(folderOf('@rivulet/keysend'), 'package.json'), 'utf8'),
    ) as {
      exports: object;
    };
    const used = readFileSync(join(consumerFixtures, 'everything.ts'), 'utf8');
    for (const entry of Object.keys(exports)) expect(used).toContain(`'@rivulet/keysend${entry.slice(1)}'`);
  });

  test('has types for browsers, too, that need none of Node.js', () => {
    const options = { module: 'esnext', moduleResolution: 'bundler', types: [], noEmit: true };
    // What the declarations themselves lean on is checked as well.
    expect(compile(project, ['page.ts'], { ...options, lib: ['es2023', 'dom', 'dom.iterable'] })).toBe('');
  });
});
