import { describe, expect, test } from 'vitest';
import { classifyHost, classifyIp } from './hostClass.js';
import { checkUrl } from './urlPolicy.js';

const refused = expect.objectContaining({ code: 'fetch_refused' });

describe('where a host is', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:7f00:1', 'loopback'],
    ['64:ff9b::127.0.0.1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['0.0.0.0', 'private'],
    ['10.1.2.3', 'private'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['169.254.169.254', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['198.19.0.1', 'private'],
    ['224.0.0.1', 'private'],
    ['255.255.255.255', 'private'],
    ['::', 'private'],
    ['::127.0.0.1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['::ffff:0:10.0.0.1', 'private'],
    ['64:ff9b:1::10.0.0.1', 'private'],
    ['2002:a00:1::', 'private'],
    ['fe80::1%eth0', 'private'],
    ['fc00::1', 'private'],
    ['fd12:3456::1', 'private'],
    ['ff02::1', 'private'],
    ['2001::1', 'private'],
    ['2001:db8::1', 'private'],
    ['3fff::1', 'private'],
    ['256.1.1.1', 'private'],
    ['1.2.3', 'private'],
    ['1::2::3', 'private'],
    ['gggg::1', 'private'],
    ['1:2:3:4:5:6:7:8:9', 'private'],
    ['', 'private'],
    ['1.1.1.1', 'public'],
    ['100.63.255.255', 'public'],
    ['172.32.0.1', 'public'],
    ['2606:4700:4700::1111', 'public'],
    ['::ffff:1.1.1.1', 'public'],
    ['64:ff9b::1.1.1.1', 'public'],
    ['2001:4860:4860::8888', 'public'],
  ])('%s is %s', (ip, hostClass) => {
    expect(classifyIp(ip)).toBe(hostClass);
  });

  test.each([
    ['example.com', 'public'],
    ['EXAMPLE.com', 'public'],
    ['xn--bcher-kva.example', 'public'],
    ['localhost', 'loopback'],
    ['localhost.', 'loopback'],
    ['a.localhost', 'loopback'],
    ['2130706433', 'loopback'],
    ['0x7f.1', 'loopback'],
    ['0177.0.0.1', 'loopback'],
    ['[::1]', 'loopback'],
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['①②⑦.0.0.1', 'loopback'],
    ['router', 'private'],
    ['nas.local', 'private'],
    ['metadata.google.internal', 'private'],
    ['x.home.arpa', 'private'],
    ['expyuzz4wqqyqhjn.onion', 'onion'],
  ])('%s is %s, as URLs give it', (host, hostClass) => {
    expect(classifyHost(new URL(`https://${host}/`).hostname)).toBe(hostClass);
  });
});

describe('what may be fetched', () => {
  test('is the internet over HTTPS', () => {
    expect(checkUrl('https://example.com/a?b#c').href).toBe('https://example.com/a?b#c');
    for (const url of [
      'http://example.com/',
      'ftp://example.com/',
      'file:///etc/passwd',
      'data:text/plain,x',
      'javascript:1',
      'https://user@example.com/',
      'https://user:secret@example.com/',
      'https://127.0.0.1/',
      'https://2130706433/',
      'https://[::ffff:10.0.0.1]/',
      'https://localhost/',
      'https://service.onion/',
      'https://router/',
      'nonsense',
      '',
      `https://example.com/${'x'.repeat(2048)}`,
    ]) {
      expect(() => checkUrl(url), url).toThrow(refused);
    }
  });

  test('is more where that is allowed, and not by the way', () => {
    expect(checkUrl('http://127.0.0.1:80/', { allow: { loopback: true } }).host).toBe('127.0.0.1');
    expect(checkUrl('http://service.onion/', { allow: { onion: true } }).host).toBe('service.onion');
    expect(checkUrl('https://10.0.0.1/', { allow: { private: true } }).host).toBe('10.0.0.1');
    expect(() => checkUrl('http://10.0.0.1/', { allow: { private: true } })).toThrow(refused);
    const allow = { loopback: true, onion: true, private: true };
    const from = new URL('https://example.com/');
    for (const url of ['http://localhost/', 'http://x.onion/', 'https://10.0.0.1/']) {
      expect(() => checkUrl(url, { allow, from }), url).toThrow(refused);
    }
    expect(checkUrl('http://localhost/b', { allow, from: new URL('http://localhost/a') }).pathname).toBe(
      '/b',
    );
  });

  test('never repeats a password in the reason', () => {
    try {
      checkUrl('https://user:secret@example.com/');
    } catch (error) {
      expect(String(error)).not.toContain('secret');
    }
    expect.assertions(1);
  });
});
