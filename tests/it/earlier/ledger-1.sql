-- A ledger as version 1 of its file was written: made by the statements of its time.

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
PRAGMA application_id = 0x6f6e6264;
PRAGMA user_version = 1;
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
