import { expect, test } from 'vitest';
import { Database } from './database.js';

// libsql ends the whole process where a closed connection is asked for its state.
test('a database that was closed refuses what is asked of it, and the process goes on', () => {
  const database = new Database(':memory:');
  database.exec('BEGIN');
  expect(database.inTransaction).toBe(true);
  database.close();
  database.close();
  expect(database.isOpen).toBe(false);
  expect(database.inTransaction).toBe(false);
  database.rollback();
  expect(() => database.exec('BEGIN')).toThrow(expect.objectContaining({ code: 'wrong_use' }));
  expect(() => database.pragma('user_version')).toThrow(/was closed/);
});
