-- +goose NO TRANSACTION
-- +goose Up

-- As schema/sqlite/00003_ingest_positions.sql; repeatable, as every file here.
CREATE TABLE IF NOT EXISTS ingest_arrivals (
  topic_id VARBINARY(32) NOT NULL,
  part INTEGER NOT NULL,
  first_offset BIGINT NOT NULL,
  last_offset BIGINT NOT NULL,
  read_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part, first_offset)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS ingest_moves (
  topic_id VARBINARY(32) NOT NULL,
  part INTEGER NOT NULL,
  moved_at BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
