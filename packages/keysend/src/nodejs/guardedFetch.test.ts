import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { guardedFetcher } from './guardedFetch.js';

/** For pinned.localhost, signed by itself; made for this test, and of no use elsewhere. */
const certificate = `-----BEGIN CERTIFICATE-----
MIIBqjCCAVCgAwIBAgIUMFK4BPGMlWJR1nfHEsOW0opnNHcwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQcGlubmVkLmxvY2FsaG9zdDAgFw0yNjExMjExMTIwNTZaGA8y
MTI2MTAyODExMjA1NlowGzEZMBcGA1UEAwwQcGlubmVkLmxvY2FsaG9zdDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABOnDuJ+RXWUB6hdn2ospwGF4AIw6+T2gkFOX
zeXl+QnI2Wk6MxD9GQL/WWye4z9RhyZ1s82WxXqZsDv0oNPmIHejcDBuMB0GA1Ud
DgQWBBSLRKXEjwoRTqERXwtYrbwokb9Q5jAfBgNVHSMEGDAWgBSLRKXEjwoRTqER
XwtYrbwokb9Q5jAPBgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKCEHBpbm5lZC5s
b2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIgGDP9EblGtnSFxa9sn84UB28LMQ4n
sgVRazKaR00IbeYCIQCyI/lHdPyBLU/JfTa6EuhYGQk0ip791rDp1dnw5s6Hhw==
-----END CERTIFICATE-----`;
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/VpqEAfaskWJ93y9
IwPcAN/94EDO3XR+hMksv8z4CZehRANCAATpw7ifkV1lAeoXZ9qLKcBheACMOvk9
oJBTl83l5fkJyNlpOjMQ/RkC/1lsnuM/UYcmdbPNlsV6mbA79KDT5iB3
-----END PRIVATE KEY-----`;

const limits = { maxBytes: 1000, timeoutMs: 5000 };
const lookup = async () => [{ address: '127.0.0.1', family: 4 as const }];
const failed = expect.objectContaining({ code: 'fetch_failed' });
const server = createServer({ key, cert: certificate }, (request, response) =>
  response.end(request.headers.host),
);

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('a pinned address changes nothing about the certificate: it has to be that of the name', async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const get = (name: string, ca?: string) =>
    guardedFetcher({ allow: { loopback: true }, lookup, ...(ca === undefined ? {} : { ca }) })(
      `https://${name}:${port}/`,
      limits,
    );
  const { body } = await get('pinned.localhost', certificate);
  expect(new TextDecoder().decode(body)).toBe(`pinned.localhost:${port}`);
  await expect(get('other.localhost', certificate)).rejects.toThrow(failed);
  await expect(get('pinned.localhost')).rejects.toThrow(failed);
});
