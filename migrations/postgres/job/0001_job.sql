-- What `millrace notify` keeps between its runs: how far each sink is, and what was given up.

CREATE TABLE millrace_job_version (
    version BIGINT  NOT NULL
);

-- A sink is read on from the desk's cursor `page` (empty: none yet), behind `last_id`, which is settled. Without a cursor it is
-- read from `since_ms` on, or from the beginning. `failing_id` waits for its next attempt; `stopped` says why nothing is sent.
-- Who has the lease serves the sink, until the lease ends. Times are in milliseconds since 1970.
CREATE TABLE millrace_job_sinks (
    name           TEXT    NOT NULL PRIMARY KEY,
    address_sha256 TEXT    NOT NULL,
    page           TEXT    NOT NULL,
    last_id        TEXT,
    since_ms       BIGINT,
    failing_id     TEXT,
    attempts       BIGINT  NOT NULL,
    failures       BIGINT  NOT NULL,
    not_before_ms  BIGINT  NOT NULL,
    error          TEXT,
    stopped        TEXT,
    lease_owner    TEXT,
    lease_until_ms BIGINT  NOT NULL
);

-- What a sink was not told, and why.
CREATE TABLE millrace_job_given_up (
    sink         TEXT    NOT NULL,
    notification TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    given_up_ms  BIGINT  NOT NULL,
    attempts     BIGINT  NOT NULL,
    error        TEXT,
    PRIMARY KEY (sink, notification)
);
