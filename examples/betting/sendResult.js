// Tells a result, as whoever knows it would: a signed webhook.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { signDelivery } from '@rivulet/keysend/automation';
import { options } from '../shared.js';
import { resultSecret } from './resultSecret.js';

const {
  data = '',
  url = '',
  match = '',
  winner = '',
} = options({
  data: '.rivulet/betting',
  url: 'http://127.0.0.1:8090/results',
  match: undefined,
  winner: undefined,
});
const secret = hexToBytes(readFileSync(join(data, 'secret'), 'utf8').trim());
const body = new TextEncoder().encode(JSON.stringify({ match, winner }));
const headers = signDelivery({
  secret: resultSecret(secret),
  id: `result-${match}`,
  timestampSeconds: Math.floor(Date.now() / 1000),
  body,
});
const response = await fetch(url, { method: 'POST', headers: { ...headers }, body });
process.stdout.write(await response.text());
process.exitCode = response.ok ? 0 : 1;
