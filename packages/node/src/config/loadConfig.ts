import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from './configError.js';
import { configKeys } from './configKeys.js';
import { type Settings, secretKeys, settings } from './configSchema.js';
import { closestWord } from './suggestion.js';

/** Where blocks come from. */
export type ChainConfig =
  | { readonly type: 'embedded'; readonly rpcPort: number; readonly esploraPort: number }
  | {
      readonly type: 'bitcoind';
      readonly url: string;
      readonly auth: { readonly cookiePath: string } | { readonly user: string; readonly password: string };
      readonly zmqUrl?: string;
      readonly stallMinutes?: number;
    }
  | { readonly type: 'esplora'; readonly urls: readonly string[]; readonly stallMinutes?: number };

/** The settings of a daemon, checked and complete. */
export type Config = Omit<Settings, 'chain' | 'iUnderstandTheRisk'> & { readonly chain: ChainConfig };

export const configFileName = 'rivulet.json';

export interface ConfigSources {
  /** By key (`listen.port`): what the command line says. Texts, or booleans for flags without a value. */
  readonly flags?: Readonly<Record<string, string | boolean | undefined>>;
  /** `RIVULET_*`; other variables are none of ours. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly homeDir?: string;
}

/** A setting and where it comes from, for messages. */
interface Given {
  readonly value: unknown;
  readonly source: string;
}

const keyNames = configKeys.map(({ key }) => key);
const keyOfVariable = new Map(configKeys.map(({ variable, key }) => [variable, key]));
const bitcoindPorts = { mainnet: 8332, testnet4: 48332, signet: 38332, regtest: 18443 } as const;

/** The data folder, which has to be known before its file can be read. */
export function findDataDir(sources: ConfigSources): string {
  const { flags = {}, env = {} } = sources;
  const given = flags.dataDir || env.RIVULET_DATA_DIR;
  return resolve(typeof given === 'string' ? given : join(sources.homeDir ?? homedir(), '.rivulet'));
}

/**
 * The settings: flags before environment variables before `rivulet.json` in the data folder before defaults.
 * @throws ConfigError that names the key, its source and what is allowed.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const dataDir = findDataDir(sources);
  const given = new Map<string, Given>([
    ...readFile(join(dataDir, configFileName)),
    ...readEnvironment(sources.env ?? {}),
    ...readFlags(sources.flags ?? {}),
    ['dataDir', { value: dataDir, source: 'the data folder' }],
  ]);
  const parsed = settings.safeParse(nest(given));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const { key, place } = placeOf(issue?.path ?? []);
    throw invalid({ key, place, given: given.get(key), message: issue?.message ?? 'not allowed' });
  }
  return complete(parsed.data, given);
}

/** The setting that an issue is about, and which entry of it where it is a list. */
function placeOf(path: readonly PropertyKey[]): { key: string; place: string } {
  const names = path.map(String);
  const length = names.findIndex((_, i) => keyNames.includes(names.slice(0, i + 1).join('.'))) + 1;
  if (length === 0) return { key: names.join('.'), place: '' };
  const index = path[length];
  return {
    key: names.slice(0, length).join('.'),
    place: typeof index === 'number' ? `, entry ${index + 1}` : '',
  };
}

function unknownKey(key: string, given: { source: string; known: Iterable<string> }): ConfigError {
  const meant = closestWord(key, given.known);
  const hint = meant === undefined ? '' : `: did you mean ${meant}?`;
  return new ConfigError('config_key_unknown', `unknown setting ${key} (${given.source})${hint}`, { key });
}

function invalid(fault: {
  key: string;
  given: Given | undefined;
  message: string;
  place?: string;
}): ConfigError {
  const { key, given, message, place = '' } = fault;
  const where = given === undefined ? place : ` (${given.source})${place}`;
  const shown = JSON.stringify(given?.value)?.slice(0, 80);
  // A URL with a password in it is refused, and not repeated.
  const secret = secretKeys.has(key) || (key === 'chain.url' && shown?.includes('@') === true);
  const got = shown === undefined || secret ? '' : `, not ${shown}`;
  return new ConfigError('config_value_invalid', `${key}${where}: ${message}${got}`, { key });
}

function readFile(file: string): Map<string, Given> {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return new Map();
    throw new ConfigError('config_file_unreadable', `cannot read ${file} (${code}): check its permissions`, {
      cause,
    });
  }
  let object: unknown;
  try {
    object = JSON.parse(content);
  } catch (cause) {
    // The parser's own words may quote a password.
    throw new ConfigError('config_file_invalid', `${file} is not JSON: check commas and quotes`, { cause });
  }
  if (!isObject(object)) {
    throw new ConfigError('config_file_invalid', `${file} must hold one JSON object: { "network": … }`);
  }
  const found = new Map<string, Given>();
  flatten(object, { prefix: '', source: file, found });
  if (found.has('dataDir')) {
    const message = `dataDir (${file}): it cannot stand in the file of that very folder; use --data-dir or RIVULET_DATA_DIR`;
    throw new ConfigError('config_value_invalid', message, { key: 'dataDir' });
  }
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function flatten(
  object: Record<string, unknown>,
  state: { prefix: string; source: string; found: Map<string, Given> },
): void {
  const { prefix, source, found } = state;
  for (const [name, value] of Object.entries(object)) {
    const key = `${prefix}${name}`;
    const isGroup = keyNames.some((known) => known.startsWith(`${key}.`));
    if (isGroup && isObject(value)) flatten(value, { prefix: `${key}.`, source, found });
    else if (isGroup)
      throw invalid({ key, given: { value, source }, message: 'expected an object of settings' });
    else if (keyNames.includes(key)) found.set(key, { value, source });
    else throw unknownKey(key, { source, known: keyNames });
  }
}

function readEnvironment(env: Readonly<Record<string, string | undefined>>): Map<string, Given> {
  const found = new Map<string, Given>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('RIVULET_') || value === undefined || value === '') continue;
    const key = keyOfVariable.get(variable);
    if (key === undefined) throw unknownKey(variable, { source: 'environment', known: keyOfVariable.keys() });
    found.set(key, { value, source: variable });
  }
  return found;
}

function readFlags(flags: Readonly<Record<string, string | boolean | undefined>>): Map<string, Given> {
  const found = new Map<string, Given>();
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const known = configKeys.find((one) => one.key === key);
    if (known === undefined) throw unknownKey(key, { source: 'command line', known: keyNames });
    found.set(key, { value, source: known.flag });
  }
  return found;
}

function nest(given: ReadonlyMap<string, Given>): Record<string, unknown> {
  const root: Record<string, Record<string, unknown>> = {};
  for (const [key, { value }] of given) {
    const [first, second] = key.split('.') as [string, string | undefined];
    if (second === undefined) root[first] = value as Record<string, unknown>;
    else root[first] = { ...root[first], [second]: value };
  }
  return root;
}

/** The rules between settings. */
function complete(parsed: Settings, given: ReadonlyMap<string, Given>): Config {
  const { chain, iUnderstandTheRisk, ...rest } = parsed;
  const fail = (key: string, message: string) => invalid({ key, given: given.get(key), message });
  if (rest.network === 'mainnet' && !iUnderstandTheRisk) {
    const message =
      'mainnet is refused: this software is young and may lose the money that it holds. If you want that, set iUnderstandTheRisk to true';
    throw new ConfigError('config_mainnet_refused', message, { key: 'network' });
  }
  if (rest.channels.minFundingSat > rest.channels.maxFundingSat) {
    throw fail(
      'channels.minFundingSat',
      `expected at most channels.maxFundingSat (${rest.channels.maxFundingSat})`,
    );
  }
  const only = (type: Settings['chain']['type'], names: readonly (keyof Settings['chain'])[]) => {
    if (chain.type === type) return;
    const stray = names.find((name) => given.has(`chain.${name}`));
    if (stray !== undefined)
      throw fail(`chain.${stray}`, `belongs to chain.type ${type}, which is ${chain.type}`);
  };
  only('bitcoind', ['cookiePath', 'user', 'password', 'zmqUrl']);
  only('embedded', ['rpcPort', 'esploraPort']);
  const stall = chain.stallMinutes === undefined ? {} : { stallMinutes: chain.stallMinutes };
  switch (chain.type) {
    case 'embedded': {
      if (rest.network !== 'regtest') {
        throw fail(
          'chain.type',
          `expected bitcoind or esplora on ${rest.network}: the embedded chain is regtest`,
        );
      }
      for (const name of ['url', 'stallMinutes'] as const) {
        if (chain[name] !== undefined)
          throw fail(`chain.${name}`, 'belongs to chain.type bitcoind or esplora');
      }
      return { ...rest, chain: { type: 'embedded', rpcPort: chain.rpcPort, esploraPort: chain.esploraPort } };
    }
    case 'esplora': {
      if (chain.url === undefined)
        throw fail('chain.url', 'is missing: the URL of the Esplora server, with its path');
      return { ...rest, chain: { type: 'esplora', urls: chain.url, ...stall } };
    }
    case 'bitcoind': {
      const { cookiePath, user, password } = chain;
      const [url = `http://127.0.0.1:${bitcoindPorts[rest.network]}`, ...more] = chain.url ?? [];
      if (more.length > 0) throw fail('chain.url', 'has several: bitcoind is asked at one');
      const news = { ...(chain.zmqUrl === undefined ? {} : { zmqUrl: chain.zmqUrl }), ...stall };
      if (cookiePath !== undefined) {
        if (user !== undefined || password !== undefined) {
          throw fail(
            'chain.cookiePath',
            'stands instead of chain.user and chain.password: give one or the other',
          );
        }
        return { ...rest, chain: { type: 'bitcoind', url, auth: { cookiePath }, ...news } };
      }
      if (user === undefined || password === undefined) {
        throw fail('chain.cookiePath', 'is missing: give it, or chain.user and chain.password');
      }
      return { ...rest, chain: { type: 'bitcoind', url, auth: { user, password }, ...news } };
    }
  }
}

/** The settings as they may be printed or logged: amounts as text, secrets replaced. */
export function redactedConfig(config: Config): Record<string, unknown> {
  const hide = (key: string, value: unknown): unknown => {
    if (key === 'password') return '[redacted]';
    // A path may have somebody's key in it.
    if (key === 'url' && typeof value === 'string') return new URL(value).origin;
    if (key === 'urls' && Array.isArray(value)) return value.map((url) => new URL(String(url)).origin);
    return typeof value === 'bigint' ? value.toString() : value;
  };
  return JSON.parse(JSON.stringify(config, hide)) as Record<string, unknown>;
}
