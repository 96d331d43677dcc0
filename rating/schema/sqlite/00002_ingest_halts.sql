-- +goose Up

-- Partitions that stand still until an operator lets them go on: why, and since when (microseconds since 1970). The row is what
-- keeps a partition from going on by itself after a restart, or after the log has grown over the gap that it stopped at.
CREATE TABLE IF NOT EXISTS ingest_halts (
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  reason VARCHAR(2000) NOT NULL,
  halted_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
);

-- +goose Down
DROP TABLE ingest_halts;
