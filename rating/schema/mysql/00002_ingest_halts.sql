-- +goose NO TRANSACTION
-- +goose Up

-- The same as schema/sqlite/00002_ingest_halts.sql. Repeatable, like every file here.
CREATE TABLE IF NOT EXISTS ingest_halts (
  topic_id VARBINARY(32) NOT NULL,
  part INTEGER NOT NULL,
  reason VARCHAR(2000) NOT NULL,
  halted_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
