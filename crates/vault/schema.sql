-- Generated from the migrations by a test; do not edit.
CREATE TABLE buried (
  item_id BLOB    PRIMARY KEY CHECK (length(item_id) = 16),
  until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX buried_by_until ON buried (until_s);
CREATE TABLE dead_chat (
  chat_id BLOB PRIMARY KEY CHECK (length(chat_id) = 16)
) STRICT, WITHOUT ROWID;
CREATE TABLE dying (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  tau   INTEGER NOT NULL,
  gen   INTEGER NOT NULL,
  by_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX dying_by_leaf ON dying (tau, gen);
CREATE TABLE item (
  ord        INTEGER PRIMARY KEY AUTOINCREMENT,
  item_id    BLOB    NOT NULL UNIQUE CHECK (length(item_id) = 16),
  chat_id    BLOB    CHECK (length(chat_id) = 16),
  kind       INTEGER NOT NULL,
  tau        INTEGER NOT NULL,
  gen        INTEGER NOT NULL,
  due_s      INTEGER,
  wrap       BLOB    NOT NULL CHECK (length(wrap) = 60),
  blob_id    BLOB    CHECK (length(blob_id) = 16),
  blob_bytes INTEGER,
  body       BLOB    NOT NULL
) STRICT;
CREATE INDEX item_by_chat ON item (chat_id, kind);
CREATE INDEX item_by_due ON item (due_s) WHERE due_s IS NOT NULL;
CREATE INDEX item_by_held_due ON item (due_s, tau, gen) WHERE due_s IS NOT NULL AND tau >= 549755813888;
CREATE INDEX item_by_kind ON item (kind);
CREATE INDEX item_by_leaf ON item (tau, gen);
CREATE TABLE moved (
  item_id BLOB    PRIMARY KEY CHECK (length(item_id) = 16),
  tau     INTEGER NOT NULL,
  gen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE renewed (
  what TEXT    PRIMARY KEY,
  at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sequence (
  region TEXT    PRIMARY KEY,
  next   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
