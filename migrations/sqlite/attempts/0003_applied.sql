-- What of the event log is in a cursor.

-- The position of the newest event of the subscription that the cursor follows. Empty where an earlier version wrote it, which
-- followed everything that it was told.
ALTER TABLE cursors ADD COLUMN applied INTEGER;
