import { StorageError } from '@rivulet/storage';
import type { Database } from '@rivulet/storage/database';

/**
 * The schema, as the steps that lead to it. A step that was ever released is never edited: a change is a new step.
 *
 * - `entries`: what the ledgers keep, text by key (ToolkitStore).
 * - `boosts`: received payments, narrow, so that what is asked of all of them is read fast; `boost_records` has what
 *   each of them carried, and `boost_texts` finds messages. Kinds are numbered as in `boostKinds`.
 * - `boost_names`: shows, episodes, apps, senders, accounts and remote feeds (numbered as in `facetNames`), by number
 *   in `boosts`: 0, or NULL where few have one, for none. One thing may have several, by how it was written: `same_as`
 *   is the first of them, or NULL.
 * - `boost_sums`: what each day brought, written with each payment; `boost_facet_sums` the same by one thing alone (-1:
 *   by none), and `boost_overall_sums` what each thing, under its first number, brought in all: what is asked most.
 * - `boost_sources`: wallets, and how far each was read.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE entries (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE boost_sources (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    cursor TEXT
  ) STRICT;
  CREATE TABLE boost_names (
    id INTEGER PRIMARY KEY,
    facet INTEGER NOT NULL,
    key TEXT NOT NULL,
    label TEXT NOT NULL,
    alias TEXT NOT NULL,
    folded TEXT NOT NULL,
    same_as INTEGER,
    UNIQUE (facet, key, label, alias)
  ) STRICT;
  CREATE INDEX boost_names_key ON boost_names (facet, key);
  CREATE INDEX boost_names_folded ON boost_names (facet, folded);
  CREATE INDEX boost_names_alias ON boost_names (facet, alias);
  CREATE TABLE boosts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL,
    payment_hash BLOB NOT NULL,
    amount_msat INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    show INTEGER NOT NULL,
    episode INTEGER NOT NULL,
    app INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    account INTEGER,
    remote INTEGER,
    boost_uuid TEXT,
    UNIQUE (payment_hash, source)
  ) STRICT;
  CREATE INDEX boosts_time ON boosts (received_at_ms);
  CREATE INDEX boosts_kind ON boosts (kind, received_at_ms);
  CREATE INDEX boosts_show ON boosts (show, received_at_ms);
  CREATE INDEX boosts_episode ON boosts (episode, received_at_ms);
  CREATE INDEX boosts_app ON boosts (app, received_at_ms);
  CREATE INDEX boosts_sender ON boosts (sender, received_at_ms);
  CREATE INDEX boosts_account ON boosts (account, received_at_ms) WHERE account IS NOT NULL;
  CREATE INDEX boosts_remote ON boosts (remote, received_at_ms) WHERE remote IS NOT NULL;
  CREATE INDEX boosts_uuid ON boosts (boost_uuid) WHERE boost_uuid IS NOT NULL;
  CREATE TABLE boost_records (
    id INTEGER PRIMARY KEY,
    records BLOB NOT NULL,
    message TEXT
  ) STRICT;
  CREATE VIRTUAL TABLE boost_texts
    USING fts5 (message, content='', contentless_delete=1, tokenize='trigram case_sensitive 1');
  CREATE TABLE boost_sums (
    day INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    show INTEGER NOT NULL,
    episode INTEGER NOT NULL,
    app INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    count INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    PRIMARY KEY (day, kind, show, episode, app, sender)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE boost_facet_sums (
    facet INTEGER NOT NULL,
    day INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name INTEGER NOT NULL,
    count INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    PRIMARY KEY (facet, day, kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE boost_overall_sums (
    facet INTEGER NOT NULL,
    name INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    PRIMARY KEY (facet, name, kind)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** What says that a file is the toolkit's: "rvkt". */
const applicationId = 0x72766b74;

/**
 * Brings the schema up in one transaction.
 * @throws StorageError `newer_version`; `corrupt` for the database of something else. The file is left untouched.
 */
export function migrate(database: Database): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const found = Number(database.pragma('user_version') ?? 0);
    const id = Number(database.pragma('application_id') ?? 0);
    const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').get()?.[0] ?? 0);
    if (tables > 0 && id !== applicationId) {
      throw new StorageError(
        'corrupt',
        `${database.path} is a database, but not one of Rivulet's toolkit: check the path`,
      );
    }
    if (found > migrations.length) {
      throw new StorageError(
        'newer_version',
        `${database.path} was written by a newer Rivulet (schema ${found}; this one knows up to ${migrations.length}): run the newer version`,
      );
    }
    for (const step of migrations.slice(found)) database.exec(step);
    database.exec(`PRAGMA application_id = ${applicationId}`);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    database.rollback();
    throw error;
  }
}
