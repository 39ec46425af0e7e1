-- Finished ranges of the log in one piece each, packed: the same events and commands, fast to read from end to end.

CREATE TABLE segments (
    first         INTEGER PRIMARY KEY,
    last          INTEGER NOT NULL,
    -- How both parts are packed.
    format        INTEGER NOT NULL,
    -- The hash of the event at `last`, which covers everything up to it.
    tip           BLOB    NOT NULL,
    -- The events, and how large they are when they are unpacked.
    event_bytes   INTEGER NOT NULL,
    events        BLOB    NOT NULL,
    -- The same of their commands.
    command_bytes INTEGER NOT NULL,
    commands      BLOB    NOT NULL
) STRICT;

CREATE TRIGGER segments_are_never_changed BEFORE UPDATE ON segments
BEGIN SELECT RAISE(ABORT, 'segments are never changed'); END;

CREATE TRIGGER segments_are_never_removed BEFORE DELETE ON segments
BEGIN SELECT RAISE(ABORT, 'segments are never removed'); END;

-- What is in a segment is needed there only: the payload of a sealed event may be emptied, and the body of a command of which all
-- events are sealed. Nothing else of them changes.

DROP TRIGGER events_are_never_changed;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
WHEN NEW.payload <> '' OR OLD.position > coalesce((SELECT last FROM segments ORDER BY first DESC LIMIT 1), 0)
  OR (NEW.position, NEW.stream, NEW.version, NEW.kind, NEW.schema, NEW.causation, NEW.correlation, NEW.command_id,
      NEW.recorded_at, NEW.hash)
     IS NOT (OLD.position, OLD.stream, OLD.version, OLD.kind, OLD.schema, OLD.causation, OLD.correlation, OLD.command_id,
             OLD.recorded_at, OLD.hash)
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

DROP TRIGGER commands_are_never_changed;
CREATE TRIGGER commands_are_never_changed BEFORE UPDATE ON commands
WHEN NEW.body <> '' OR OLD.last_position > coalesce((SELECT last FROM segments ORDER BY first DESC LIMIT 1), 0)
  OR (NEW.id, NEW.first_position, NEW.last_position, NEW.name)
     IS NOT (OLD.id, OLD.first_position, OLD.last_position, OLD.name)
BEGIN SELECT RAISE(ABORT, 'commands are never changed'); END;
