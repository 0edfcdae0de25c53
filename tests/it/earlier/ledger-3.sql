-- A ledger as version 3 of its file was written: made by the statements of its time.

CREATE TABLE portal (
    id      INTEGER PRIMARY KEY,
    origin  TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    uuid        TEXT NOT NULL UNIQUE,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    account     BLOB NOT NULL,
    command     TEXT NOT NULL,
    roster      TEXT NOT NULL,
    roster_hash BLOB NOT NULL,
    rows        INTEGER NOT NULL,
    who         TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    exit_status INTEGER,
    requests    INTEGER,
    outcomes    TEXT
) STRICT;
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    kind        INTEGER NOT NULL, -- 0: congratulation, by user id; 1: invitation, by digest of the address
    subject     BLOB NOT NULL,
    email       BLOB,
    run         INTEGER NOT NULL REFERENCES run (id),
    began_at    INTEGER NOT NULL, -- all times: milliseconds since 1970, UTC
    state       TEXT NOT NULL CHECK (state IN ('intent', 'sent', 'no_effect', 'unknown')),
    holds       INTEGER NOT NULL CHECK (holds IN (0, 1)), -- 1: no other attempt may begin
    counted     INTEGER NOT NULL CHECK (counted IN (0, 1)), -- 1: the portal's daily limit counts it
    ended_at    INTEGER,
    http        INTEGER,
    reason      TEXT,
    decision    TEXT,
    decided_by  TEXT,
    decided_at  INTEGER
) STRICT;
-- The promise itself: no second attempt for a user while one may have had its effect.
CREATE UNIQUE INDEX one_attempt_holds ON attempt (portal, kind, subject) WHERE holds = 1;
CREATE TABLE window_use (
    run     INTEGER NOT NULL REFERENCES run (id),
    upto    INTEGER NOT NULL, -- requests of the run that may leave, in all
    at      INTEGER NOT NULL
) STRICT;

ALTER TABLE attempt RENAME TO attempt_1;
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    kind        INTEGER NOT NULL, -- 0: congratulation, by user id; 1: invitation, by digest of the address
    subject     BLOB NOT NULL,
    email       BLOB,
    run         INTEGER NOT NULL REFERENCES run (id),
    began_at    INTEGER NOT NULL, -- all times: milliseconds since 1970, UTC
    state       TEXT NOT NULL CHECK (state = 'intent' OR state = 'sent' OR state = 'no_effect' OR state = 'unknown'),
    holds       INTEGER NOT NULL CHECK (holds BETWEEN 0 AND 2), -- 1: no other attempt may begin; 2: so too, not indexed yet
    counted     INTEGER NOT NULL CHECK (counted BETWEEN 0 AND 1), -- 1: the portal's daily limit counts it
    ended_at    INTEGER,
    http        INTEGER,
    reason      TEXT,
    decision    TEXT,
    decided_by  TEXT,
    decided_at  INTEGER
) STRICT;
INSERT INTO attempt SELECT * FROM attempt_1;
DROP TABLE attempt_1;
CREATE UNIQUE INDEX one_attempt_holds ON attempt (portal, kind, subject) WHERE holds = 1;

ALTER TABLE attempt ADD COLUMN decision_reason TEXT;
ALTER TABLE attempt ADD COLUMN object INTEGER; -- of a ledger elsewhere: where the intent stands in its log
ALTER TABLE attempt ADD COLUMN line INTEGER;
CREATE INDEX attempt_in_log ON attempt (object, line) WHERE object IS NOT NULL;
ALTER TABLE run ADD COLUMN plan BLOB; -- the hash of the plan that it carries out
ALTER TABLE run ADD COLUMN number INTEGER; -- of a file: the place of its end in the chain of ended runs
ALTER TABLE run ADD COLUMN hash BLOB; -- of a file: of that end and of all before it
CREATE TABLE head (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    ledger          TEXT NOT NULL,
    number          INTEGER NOT NULL, -- of a file: how many runs ended; of a copy: the last object of the log
    hash            BLOB NOT NULL,
    copied          TEXT NOT NULL, -- of a copy: where it stands within a log that was copied into this one
    session         TEXT, -- whose entries follow: the one that is open
    session_who     TEXT,
    session_command TEXT,
    session_since   INTEGER,
    session_run     INTEGER,
    session_portal  INTEGER,
    standing        TEXT, -- 'copying', 'copy' or 'moved'; else runs may use it
    moved_to        TEXT,
    snapshot        TEXT -- of a copy: the last snapshot that the log names, as JSON
) STRICT;
INSERT INTO head (id, ledger, number, hash, copied) VALUES (1, lower(hex(randomblob(16))), 0, zeroblob(32), '[]');
CREATE TABLE object (
    number  INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL,
    mark    TEXT NOT NULL -- what the store's list shows for these bytes; empty where that was not seen yet
) STRICT;
PRAGMA application_id = 0x6f6e6264;
PRAGMA user_version = 3;
INSERT INTO portal VALUES (1, 'https://p.example');
INSERT INTO run (id, uuid, portal, account, command, roster, roster_hash, rows, who, started_at, ended_at, exit_status, requests, outcomes)
    VALUES (1, '01990000-0000-7000-8000-000000000001', 1, x'07', 'run', 'users.csv', x'00', 4, 'anna@host', 1755000000000, 1755000060000, 4, 9, '{"sent":1,"unknown":1}');
INSERT INTO run (id, uuid, portal, account, command, roster, roster_hash, rows, who, started_at)
    VALUES (2, '01990000-0000-7000-8000-000000000002', 1, x'07', 'run', 'users.csv', x'00', 4, 'anna@host', 1755000120000);
-- Sent; unknown; an intent of a run that was killed; certainly without effect.
INSERT INTO attempt (portal, kind, subject, run, began_at, state, holds, counted, ended_at, http, reason) VALUES
    (1, 0, x'72ae987de0a205de8cc28ba4c2af3bbd', 1, 1755000001000, 'sent', 1, 1, 1755000002000, 200, NULL),
    (1, 0, x'0de39061873014144fa2b50dca81f6d6', 1, 1755000001000, 'unknown', 1, 1, 1755000002000, NULL, 'the connection broke'),
    (1, 0, x'1b086001c2dec99a94f7cd208725b278', 2, 1755000121000, 'intent', 1, 1, NULL, NULL, NULL),
    (1, 0, x'9835b555ca7bef11c424a29b6b593cc0', 2, 1755000121000, 'no_effect', 0, 1, 1755000122000, 500, 'the portal answered 500');
INSERT INTO window_use VALUES (2, 64, 1755000120000);
