/** One SQLite file, for packages that keep tables of their own in one. */
export { Database, type Row, type SqliteValue, type Statement } from './sqlite/database.js';
export { makePrivateFile } from './sqlite/privateFile.js';
