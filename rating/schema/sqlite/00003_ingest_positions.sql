-- +goose Up

-- When records without a timestamp were first read: the record at an offset from first_offset to last_offset has the time
-- read_at + (offset - first_offset), in microseconds since 1970. Read again, it has the same. Rows whose records are no longer
-- in the log are removed.
CREATE TABLE IF NOT EXISTS ingest_arrivals (
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  first_offset BIGINT NOT NULL,
  last_offset BIGINT NOT NULL,
  read_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part, first_offset)
);

-- Partitions that an operator has moved, and whose owner has not taken that up yet. The owner removes the row.
CREATE TABLE IF NOT EXISTS ingest_moves (
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  moved_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
);

-- +goose Down
DROP TABLE ingest_moves;
DROP TABLE ingest_arrivals;
