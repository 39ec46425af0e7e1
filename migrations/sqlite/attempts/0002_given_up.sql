-- What is given up alone, since others arrived at its endpoint meanwhile.

-- How many arrived at the endpoint.
ALTER TABLE cursors ADD COLUMN arrivals INTEGER NOT NULL DEFAULT 0;

-- How many had arrived at the endpoint when this one failed first. Of what is open it stands in `cursors.open`, above the
-- sixteen bits of the failures.
ALTER TABLE retries ADD COLUMN arrivals INTEGER NOT NULL DEFAULT 0;

-- What became of the notification by this attempt, where its outcome does not say it: `given_up` or `aborted`.
ALTER TABLE attempts ADD COLUMN fate TEXT;

CREATE INDEX given_up ON attempts (subscription, position) WHERE fate = 'given_up';
