-- How many deposits stand where and what they add up to, as one JSON document that moves with the rows.

CREATE TABLE totals (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
