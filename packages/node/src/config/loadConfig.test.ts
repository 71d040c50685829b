import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networks } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from './configError.js';
import { configKeys } from './configKeys.js';
import { type ConfigSources, loadConfig, redactedConfig } from './loadConfig.js';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'rivulet-config-'));
});

afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

function writeConfig(content: unknown): void {
  writeFileSync(
    join(dataDir, 'rivulet.json'),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
}

function load(sources: ConfigSources = {}) {
  return loadConfig({ ...sources, flags: { dataDir, ...sources.flags } });
}

function failure(sources: ConfigSources = {}): ConfigError {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the settings were accepted');
}

describe('precedence', () => {
  test('defaults are complete, and safe', () => {
    expect(load()).toMatchObject({
      dataDir,
      network: 'regtest',
      listen: { enabled: true, host: '127.0.0.1', port: 9735 },
      api: { host: '127.0.0.1', port: 9736 },
      chain: { type: 'embedded', rpcPort: 0 },
      keysend: { accept: false },
      channels: { maxAcceptedHtlcs: 483, acceptZeroConf: false, minFundingSat: 20_000n },
    });
  });

  test('flags come before the environment, which comes before the file, which comes before defaults', () => {
    writeConfig({ alias: 'file', logLevel: 'warn', listen: { port: 1, host: 'file.example' } });
    const env = { RIVULET_ALIAS: 'env', RIVULET_LISTEN_PORT: '2', PATH: '/bin' };
    expect(load({ env })).toMatchObject({
      alias: 'env',
      logLevel: 'warn',
      listen: { port: 2, host: 'file.example', enabled: true },
    });
    expect(load({ env, flags: { 'listen.port': '3' } }).listen).toMatchObject({
      port: 3,
      host: 'file.example',
    });
  });

  test('the data folder comes from the flag, then the environment, then the home folder', () => {
    const elsewhere = join(dataDir, 'elsewhere');
    expect(loadConfig({ env: { RIVULET_DATA_DIR: elsewhere } }).dataDir).toBe(elsewhere);
    expect(loadConfig({ homeDir: dataDir }).dataDir).toBe(join(dataDir, '.rivulet'));
    writeConfig({ dataDir: '/tmp' });
    expect(failure().message).toMatch(/--data-dir/);
  });

  test('text of the environment becomes what JSON would have held', () => {
    writeConfig({ keysend: { accept: true, minAmountMsat: 1000 }, channels: { maxFundingSat: '5000000' } });
    const fromFile = load();
    writeConfig({});
    const fromEnv = load({
      env: {
        RIVULET_KEYSEND_ACCEPT: '1',
        RIVULET_KEYSEND_MIN_AMOUNT_MSAT: '1000',
        RIVULET_CHANNELS_MAX_FUNDING_SAT: '5000000',
      },
    });
    expect(fromEnv).toEqual(fromFile);
    expect(fromEnv.keysend).toEqual({ accept: true, minAmountMsat: 1000n });
  });
});

describe('what cannot be used', () => {
  test.each([
    [
      'a word for a number',
      { 'listen.port': 'abc' },
      'listen.port (--listen-port): expected a whole number from 0 to 65535, not "abc"',
    ],
    [
      'a port too high',
      { 'api.port': '70000' },
      'api.port (--api-port): expected a whole number from 0 to 65535, not "70000"',
    ],
    ['an unknown choice', { logLevel: 'loud' }, /logLevel \(--log-level\): expected one of: silent, error/],
    ['a fraction of a satoshi', { 'channels.minFundingSat': '1.5' }, /channels.minFundingSat .*whole number/],
    ['more HTLCs than BOLT 2 has', { 'channels.maxAcceptedHtlcs': '484' }, /from 1 to 483/],
    ['an API for everybody', { 'api.host': '0.0.0.0' }, /api.host .*127.0.0.1/],
    ['a long alias', { alias: 'é'.repeat(17) }, /32 bytes/],
    ['a range upside down', { 'channels.minFundingSat': '2000000000' }, /at most channels.maxFundingSat/],
    ['maybe', { 'keysend.accept': 'maybe' }, /true or false/],
    [
      'an address without a port, in a list',
      { addresses: 'one.example:9735, two.example' },
      'addresses (--addresses), entry 2: expected host:port; an IPv6 address stands in brackets, not "one.example:9735, two.example"',
    ],
    ['a port that is none, in a list', { addresses: '[::1]:70000' }, /^addresses .*entry 1: .*1 to 65535/],
    [
      'a long list',
      { addresses: Array.from({ length: 17 }, (_, i) => `a${i}:1`).join() },
      /^addresses \(--addresses\): expected at most 16 addresses/,
    ],
  ])('%s is refused with the key, the source and what is allowed', (_, flags, says) => {
    const error = failure({ flags });
    expect(error.code).toBe('config_value_invalid');
    if (typeof says === 'string') expect(error.message).toBe(says);
    else expect(error.message).toMatch(says);
  });

  test('a list in the file is named with the place in it', () => {
    writeConfig({ rebalance: { channels: ['AB'.repeat(32), 5] } });
    expect(failure().message).toMatch(/^rebalance.channels \(.*rivulet.json\), entry 2: expected text, not/);
    writeConfig({ rebalance: { channels: ['1f2e3d4c'] } });
    expect(failure().message).toMatch(/entry 1: expected channel ids: 64 hex digits each/);
    writeConfig({ rebalance: { channels: ['AB'.repeat(32)] } });
    expect(load().rebalance.channels).toEqual(['ab'.repeat(32)]);
    writeConfig({ addresses: { host: 'a' } });
    expect(failure().message).toMatch(/^addresses \(.*rivulet.json\): expected a list of texts, not/);
  });

  test('unknown keys are refused with a suggestion, wherever they stand', () => {
    writeConfig({ netwrok: 'regtest' });
    expect(failure().message).toMatch(/unknown setting netwrok \(.*rivulet.json\): did you mean network\?/);
    writeConfig({ listen: { prot: 1 } });
    expect(failure().message).toMatch(/did you mean listen.port\?/);
    writeConfig({});
    expect(failure({ env: { RIVULET_LISTEN_PROT: '1' } }).message).toMatch(
      /did you mean RIVULET_LISTEN_PORT\?/,
    );
    expect(failure({ flags: { zzzzzzzzzzzz: '1' } }).message).not.toMatch(/did you mean/);
  });

  test('a file that is no JSON object is named', () => {
    writeConfig('{ "chain": { "password": "hunter2", }');
    expect(failure()).toMatchObject({ code: 'config_file_invalid' });
    expect(failure().message).not.toMatch(/hunter2/);
    writeConfig([]);
    expect(failure()).toMatchObject({ code: 'config_file_invalid' });
    writeConfig({ listen: 5 });
    expect(failure()).toMatchObject({ code: 'config_value_invalid', key: 'listen' });
  });

  test('mainnet wants a word of consent', () => {
    const flags = { network: 'mainnet', 'chain.type': 'esplora', 'chain.url': 'https://example.com/api' };
    const { code, message } = failure({ flags });
    expect(code).toBe('config_mainnet_refused');
    expect(message).toMatch(/may lose the money that it holds.*iUnderstandTheRisk/);
    expect(load({ flags: { ...flags, iUnderstandTheRisk: true } }).network).toBe('mainnet');
  });
});

describe('the chain', () => {
  test('bitcoind takes a cookie, or a user with a password', () => {
    const bitcoind = { 'chain.type': 'bitcoind', network: 'signet' };
    expect(load({ flags: { ...bitcoind, 'chain.cookiePath': '/a/.cookie' } }).chain).toEqual({
      type: 'bitcoind',
      url: 'http://127.0.0.1:38332',
      auth: { cookiePath: '/a/.cookie' },
    });
    const login = { 'chain.user': 'u', 'chain.password': 'p' };
    expect(load({ flags: { ...bitcoind, ...login } }).chain).toMatchObject({
      auth: { user: 'u', password: 'p' },
    });
    expect(failure({ flags: bitcoind }).message).toMatch(/chain.user and chain.password/);
    expect(failure({ flags: { ...bitcoind, ...login, 'chain.cookiePath': '/a' } }).message).toMatch(
      /one or the other/,
    );
  });

  test('esplora takes one server or several, in the file and in text', () => {
    const esplora = { 'chain.type': 'esplora', network: 'testnet4' };
    const urls = ['https://one.example/api', 'http://two.example:3000'];
    expect(load({ flags: { ...esplora, 'chain.url': urls.join(', ') } }).chain).toEqual({
      type: 'esplora',
      urls,
    });
    writeConfig({ network: 'signet', chain: { type: 'esplora', url: urls, stallMinutes: 90 } });
    expect(load().chain).toEqual({ type: 'esplora', urls, stallMinutes: 90 });
    writeConfig({ network: 'signet', chain: { type: 'esplora', url: urls[0] } });
    expect(load().chain).toEqual({ type: 'esplora', urls: urls.slice(0, 1) });
    writeConfig({ network: 'signet', chain: { type: 'esplora', url: [urls[0], 'one.example'] } });
    expect(failure().message).toMatch(/chain\.url.*entry 2.*https:/);
    writeConfig({ network: 'signet', chain: { type: 'esplora', url: [] } });
    expect(failure().message).toMatch(/expected a URL/);
  });

  test('bitcoind is asked at one URL, and may be heard over ZMQ', () => {
    const flags = { 'chain.type': 'bitcoind', 'chain.cookiePath': '/a' };
    const chain = { 'chain.zmqUrl': 'tcp://127.0.0.1:28332', 'chain.stallMinutes': '0' };
    expect(load({ flags: { ...flags, ...chain } }).chain).toMatchObject({
      zmqUrl: 'tcp://127.0.0.1:28332',
      stallMinutes: 0,
    });
    expect(failure({ flags: { ...flags, 'chain.url': 'http://a,http://b' } }).message).toMatch(/has several/);
    for (const wrong of ['127.0.0.1:28332', 'tcp://*:28332', 'http://a:1']) {
      expect(failure({ flags: { ...flags, 'chain.zmqUrl': wrong } }).message).toMatch(/expected tcp:/);
    }
  });

  test.each([
    ['mainnet', 8332, '6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000', 'bc'],
    ['testnet4', 48332, '43f08bdab050e35b567c864b91f47f50ae725ae2de53bcfbbaf284da00000000', 'tb'],
    ['signet', 38332, 'f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000', 'tb'],
    ['regtest', 18443, '06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f', 'bcrt'],
  ] as const)('%s has its constants, and a bitcoind at its port', (network, port, chainHash, prefix) => {
    const flags = { network, 'chain.type': 'bitcoind', 'chain.cookiePath': '/a', iUnderstandTheRisk: true };
    const config = load({ flags });
    expect(config.chain).toMatchObject({ url: `http://127.0.0.1:${port}` });
    // BOLT 7's chain_hash, and BIP 173's prefixes.
    expect(bytesToHex(networks[config.network].chainHash)).toBe(chainHash);
    expect(networks[config.network].bech32Prefix).toBe(prefix);
  });

  test('settings of another kind of chain are refused', () => {
    expect(failure({ flags: { 'chain.zmqUrl': 'tcp://a:1' } }).message).toMatch(
      /belongs to chain.type bitcoind/,
    );
    expect(failure({ flags: { 'chain.stallMinutes': '5' } }).message).toMatch(/belongs to/);
    expect(failure({ flags: { 'chain.user': 'u' } }).message).toMatch(/belongs to chain.type bitcoind/);
    expect(failure({ flags: { 'chain.url': 'http://a' } }).message).toMatch(/belongs to/);
    expect(failure({ flags: { network: 'signet' } }).message).toMatch(/embedded chain is regtest/);
    const esplora = { 'chain.type': 'esplora' };
    expect(failure({ flags: esplora }).message).toMatch(/chain.url.*missing/);
    expect(failure({ flags: { ...esplora, 'chain.url': 'ftp://x' } }).message).toMatch(/http/);
  });
});

describe('secrets', () => {
  const flags = { 'chain.type': 'bitcoind', 'chain.user': 'u', 'chain.password': 'hunter2' };

  test('are not in what may be printed', () => {
    const printed = JSON.stringify(redactedConfig(load({ flags })));
    expect(printed).not.toContain('hunter2');
    expect(JSON.parse(printed)).toMatchObject({ chain: { auth: { user: 'u', password: '[redacted]' } } });
  });

  test('are not in errors', () => {
    writeConfig({ chain: { type: 'bitcoind', user: 'u', password: ['hunter2'] } });
    expect(failure()).toMatchObject({ key: 'chain.password' });
    expect(failure().message).not.toContain('hunter2');
    const url = 'http://u:hunter2@127.0.0.1:8332';
    const { message } = failure({ flags: { 'chain.type': 'bitcoind', 'chain.url': url } });
    expect(message).toMatch(/without a user and password/);
    expect(message).not.toContain('hunter2');
  });
});

test('every setting has one name each in the file, the environment and the flags, and says what it is', () => {
  for (const names of [
    configKeys.map(({ key }) => key),
    configKeys.map(({ variable }) => variable),
    configKeys.map(({ flag }) => flag),
  ]) {
    expect(new Set(names).size).toBe(names.length);
  }
  expect(configKeys.every(({ description }) => description !== '')).toBe(true);
  expect(configKeys.find(({ key }) => key === 'channels.maxAcceptedHtlcs')).toEqual({
    key: 'channels.maxAcceptedHtlcs',
    variable: 'RIVULET_CHANNELS_MAX_ACCEPTED_HTLCS',
    flag: '--channels-max-accepted-htlcs',
    description: 'payments that a peer may have under way to us at once',
    isBoolean: false,
    defaultText: '483',
  });
  // An empty list is no text that anybody could read.
  expect(configKeys.filter(({ defaultText }) => defaultText === '')).toEqual([]);
});
