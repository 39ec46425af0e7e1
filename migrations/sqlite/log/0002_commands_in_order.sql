-- Commands in the order in which they came, with a small index by id: they are written at the end, not in between.

DROP TRIGGER commands_are_never_changed;
DROP TRIGGER commands_are_never_removed;
ALTER TABLE commands RENAME TO commands_by_id;

CREATE TABLE commands (
    id             BLOB    NOT NULL PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    body           TEXT    NOT NULL
) STRICT;

INSERT INTO commands (id, first_position, last_position, name, body)
SELECT id, first_position, last_position, name, body FROM commands_by_id ORDER BY first_position;
DROP TABLE commands_by_id;

CREATE TRIGGER commands_are_never_changed BEFORE UPDATE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never changed'); END;

CREATE TRIGGER commands_are_never_removed BEFORE DELETE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never removed'); END;
