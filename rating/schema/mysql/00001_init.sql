-- +goose NO TRANSACTION
-- +goose Up

-- The tables of schema/sqlite/00001_init.sql, which describes them, for MySQL 8, MariaDB 10.11 and later, TiDB and
-- Vitess. DDL is not transactional there, so each statement can be repeated: a migration may have been killed halfway.
--
-- Columns that are compared are VARBINARY, which distinguishes case, accents and trailing spaces, as Go and SQLite do.
-- (utf8mb4_bin would ignore trailing spaces.) Their lengths are the limits in bytes. Text for people is utf8mb4.
CREATE TABLE IF NOT EXISTS ratings (
  record_type VARBINARY(32) NOT NULL,
  record_id VARBINARY(128) NOT NULL,
  user_id VARBINARY(128) NOT NULL,
  value SMALLINT NOT NULL,
  rated_at BIGINT NOT NULL,
  event_id BIGINT NOT NULL,
  PRIMARY KEY (record_type, record_id, user_id),
  INDEX ratings_by_user (user_id, rated_at, record_type, record_id),
  INDEX ratings_by_time (record_type, rated_at, record_id, value)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- A record's row is also the lock that every change of its ratings takes first (store.go).
CREATE TABLE IF NOT EXISTS aggregates (
  record_type VARBINARY(32) NOT NULL,
  record_id VARBINARY(128) NOT NULL,
  votes BIGINT NOT NULL DEFAULT 0,
  total BIGINT NOT NULL DEFAULT 0,
  c1 BIGINT NOT NULL DEFAULT 0,
  c2 BIGINT NOT NULL DEFAULT 0,
  c3 BIGINT NOT NULL DEFAULT 0,
  c4 BIGINT NOT NULL DEFAULT 0,
  c5 BIGINT NOT NULL DEFAULT 0,
  c6 BIGINT NOT NULL DEFAULT 0,
  c7 BIGINT NOT NULL DEFAULT 0,
  c8 BIGINT NOT NULL DEFAULT 0,
  c9 BIGINT NOT NULL DEFAULT 0,
  c10 BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (record_type, record_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS ingest_offsets (
  topic_id VARBINARY(32) NOT NULL,
  part INTEGER NOT NULL,
  topic VARBINARY(249) NOT NULL,
  next_offset BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dead_letters (
  id VARBINARY(64) NOT NULL,
  topic VARBINARY(249) NOT NULL,
  topic_id VARBINARY(32) NOT NULL,
  part INTEGER NOT NULL,
  record_offset BIGINT NOT NULL,
  class VARBINARY(64) NOT NULL,
  reason VARCHAR(2000) NOT NULL,
  record_key MEDIUMBLOB,
  payload MEDIUMBLOB,
  content_type VARCHAR(255) NOT NULL,
  record_time BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  INDEX dead_letters_by_age (created_at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
