-- +goose Up

-- Partitions that are halted until an operator resumes them: why, and since when (microseconds since 1970). The row keeps a
-- partition halted after a restart, and after the log has grown past the gap at which it halted.
CREATE TABLE IF NOT EXISTS ingest_halts (
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  reason VARCHAR(2000) NOT NULL,
  halted_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
);

-- +goose Down
DROP TABLE ingest_halts;
