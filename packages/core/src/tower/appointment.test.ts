import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes, reverseBytes } from '../bytes/index.js';
import { decodeTransaction, encodeTransaction } from '../tx/index.js';
import {
  appointmentMessage,
  decryptPenalty,
  encryptPenalty,
  getAppointmentMessage,
  locatorOf,
  slotsOf,
  subscriptionMessage,
} from './appointment.js';
import { towerVectors as vectors } from './fixtures/towerVectors.test.support.js';
import { appointmentReceiptMessage, isReceiptSigned, registrationReceiptMessage } from './receipts.js';
import { signMessage } from './signedMessage.js';
import { deriveTowerUser } from './towerUser.js';

const txid = reverseBytes(hexToBytes(vectors.blob.txid));
const penalty = decodeTransaction(hexToBytes(vectors.blob.tx));

describe('an appointment', () => {
  test('is encrypted as The Eye of Satoshi encrypts it', () => {
    expect(bytesToHex(encryptPenalty(penalty, txid))).toBe(vectors.blob.encrypted);
    const opened = decryptPenalty(hexToBytes(vectors.blob.encrypted), txid)!;
    expect(bytesToHex(encodeTransaction(opened))).toBe(vectors.blob.tx);
  });

  test('is opened by its own transaction alone', () => {
    const blob = hexToBytes(vectors.blob.encrypted);
    expect(decryptPenalty(blob, reverseBytes(txid))).toBeUndefined();
    expect(decryptPenalty(blob.subarray(0, 10), txid)).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(decryptPenalty(bytes, txid)).toBeUndefined();
      }),
    );
  });

  test('is found by the first half of the txid in internal byte order', () => {
    expect(bytesToHex(locatorOf(txid))).toBe('b4a11e76c7115e2cd79526f3543e6bec');
  });

  test('is signed as locator, blob and delay', () => {
    const appointment = {
      locator: new Uint8Array(16).fill(1),
      encryptedBlob: Uint8Array.of(2, 3),
      toSelfDelay: 42,
    };
    expect(bytesToHex(appointmentMessage(appointment))).toBe(`${'01'.repeat(16)}02030000002a`);
    expect(new TextDecoder().decode(getAppointmentMessage(appointment.locator))).toBe(
      `get appointment ${'01'.repeat(16)}`,
    );
    expect(new TextDecoder().decode(subscriptionMessage)).toBe('get subscription info');
  });

  test('takes a slot for each 2,048 bytes that were begun', () => {
    expect([0, 1, 2048, 2049, 4096, 4097].map(slotsOf)).toEqual([0, 1, 1, 2, 2, 3]);
  });
});

describe('receipts', () => {
  const tower = deriveTowerUser({ secret: new Uint8Array(32).fill(9), towerId: txid, index: 0 });

  test('are what is signed, in the order of the fields, numbers big endian', () => {
    const userId = new Uint8Array(33).fill(2);
    const registered = {
      userId,
      availableSlots: 1,
      subscriptionStart: 0x0102,
      subscriptionExpiry: 0xffffffff,
    };
    expect(bytesToHex(registrationReceiptMessage(registered))).toBe(
      `${'02'.repeat(33)}0000000100000102ffffffff`,
    );
    expect(bytesToHex(appointmentReceiptMessage({ userSignature: 'ry8b', startBlock: 7 }))).toBe(
      '7279386200000007',
    );
  });

  test('count when the tower signed them', () => {
    const message = appointmentReceiptMessage({ userSignature: 'ry8b', startBlock: 7 });
    const signature = signMessage(message, tower.privateKey);
    expect(isReceiptSigned(message, { signature, towerId: tower.userId })).toBe(true);
    const other = appointmentReceiptMessage({ userSignature: 'ry8b', startBlock: 8 });
    expect(isReceiptSigned(other, { signature, towerId: tower.userId })).toBe(false);
    expect(isReceiptSigned(message, { signature: 'none', towerId: tower.userId })).toBe(false);
  });

  test('users differ from tower to tower and from index to index, and are the same ones again', () => {
    const secret = new Uint8Array(32).fill(9);
    const id = (fill: number, index: number) =>
      bytesToHex(deriveTowerUser({ secret, towerId: new Uint8Array(33).fill(fill), index }).userId);
    expect(new Set([id(2, 0), id(2, 1), id(3, 0), id(3, 1)]).size).toBe(4);
    expect(id(2, 1)).toBe(id(2, 1));
  });
});
