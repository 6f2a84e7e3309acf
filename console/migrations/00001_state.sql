-- +goose Up
CREATE TABLE job (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	member     TEXT NOT NULL,               -- the context identifier, folded
	kind       TEXT NOT NULL,
	state      TEXT NOT NULL,
	actor      TEXT NOT NULL,
	asked      INTEGER NOT NULL,            -- times are in milliseconds since 1970
	started    INTEGER NOT NULL DEFAULT 0,
	ended      INTEGER NOT NULL DEFAULT 0,
	resumed    INTEGER NOT NULL DEFAULT 0,  -- how often a restart of the process went on with it
	request    BLOB NOT NULL,               -- JSON
	summary    BLOB,                        -- JSON
	error      TEXT NOT NULL DEFAULT '',
	document   BLOB,                        -- JSON, gzip
	checkpoint BLOB,                        -- JSON, gzip
	tables     BLOB                         -- JSON: what lists show of the document's tables
);
CREATE INDEX job_of_member ON job (member, kind, id);
CREATE INDEX job_by_state ON job (state);

CREATE TABLE journal (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	member    TEXT NOT NULL,
	actor     TEXT NOT NULL,
	job       INTEGER NOT NULL,
	operation TEXT NOT NULL,                -- the ID that the entries of an operation share
	event     TEXT NOT NULL,
	time      INTEGER NOT NULL,
	entry     BLOB NOT NULL                 -- JSON
);
CREATE INDEX journal_of_member ON journal (member, id);
CREATE INDEX journal_of_operation ON journal (operation);

-- What was found out of operations whose end the journal does not have.
CREATE TABLE reconciled (
	operation TEXT PRIMARY KEY,
	outcome   TEXT NOT NULL,
	time      INTEGER NOT NULL
);

-- What each mirror's database said of itself when it was looked at last.
CREATE TABLE look (
	member   TEXT PRIMARY KEY,
	time     INTEGER NOT NULL,
	error    TEXT NOT NULL,
	document BLOB                           -- JSON, gzip
);

-- Who is logged in, by the hash of their cookie.
CREATE TABLE session (
	hash    TEXT PRIMARY KEY,
	data    BLOB NOT NULL,
	expires INTEGER NOT NULL
);

-- +goose Down
DROP TABLE session;
DROP TABLE look;
DROP TABLE reconciled;
DROP TABLE journal;
DROP TABLE job;
