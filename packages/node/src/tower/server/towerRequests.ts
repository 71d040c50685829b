import { hexToBytes } from '@rivulet/core/bytes';
import { type Appointment, locatorBytes } from '@rivulet/core/tower';
import { TowerRefusal } from './towerRefusal.js';

type Fields = Readonly<Record<string, unknown>>;

/** @throws TowerRefusal `invalidRequestFormat` */
export function readObject(body: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new TowerRefusal('invalidRequestFormat', 'the body is not JSON');
  }
  return asFields(value, 'the body');
}

function asFields(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new TowerRefusal('wrongFieldType', `${name} is not an object`);
}

function field(fields: Fields, name: string): unknown {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (value === undefined) throw new TowerRefusal('missingField', `missing field \`${name}\``);
  return value;
}

function textField(fields: Fields, name: string): string {
  const value = field(fields, name);
  if (typeof value !== 'string') throw new TowerRefusal('wrongFieldType', `\`${name}\` is not a string`);
  if (value === '') throw new TowerRefusal('emptyField', `\`${name}\` field is empty`);
  return value;
}

function hexField(fields: Fields, name: string, length?: number): Uint8Array {
  const text = textField(fields, name);
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) {
    throw new TowerRefusal('wrongFieldFormat', `\`${name}\` is not hex`);
  }
  const bytes = hexToBytes(text.toLowerCase());
  if (length === undefined || bytes.length === length) return bytes;
  throw new TowerRefusal(
    'wrongFieldSize',
    `Wrong \`${name}\` field size. Expected ${length}, received ${bytes.length}`,
  );
}

function u32Field(fields: Fields, name: string): number {
  const value = field(fields, name);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)
    return value;
  throw new TowerRefusal('wrongFieldType', `\`${name}\` is not a number of 32 bits`);
}

export function readRegister(fields: Fields): { userId: Uint8Array } {
  return { userId: hexField(fields, 'user_id', 33) };
}

export function readAddAppointment(fields: Fields): { appointment: Appointment; signature: string } {
  const given = asFields(field(fields, 'appointment'), '`appointment`');
  const appointment: Appointment = {
    locator: hexField(given, 'locator', locatorBytes),
    encryptedBlob: hexField(given, 'encrypted_blob'),
    toSelfDelay: u32Field(given, 'to_self_delay'),
  };
  return { appointment, signature: textField(fields, 'signature') };
}

export function readGetAppointment(fields: Fields): { locator: Uint8Array; signature: string } {
  return {
    locator: hexField(fields, 'locator', locatorBytes),
    signature: textField(fields, 'signature'),
  };
}

export function readSubscription(fields: Fields): { signature: string } {
  return { signature: textField(fields, 'signature') };
}
