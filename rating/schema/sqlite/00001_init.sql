-- +goose Up

-- One row per (record type, record, user): what the user said last. value 0 is a tombstone.
-- rated_at is in microseconds since 1970; (rated_at, event_id) is the row's version.
CREATE TABLE ratings (
  record_type VARCHAR(32) NOT NULL,
  record_id VARCHAR(128) NOT NULL,
  user_id VARCHAR(128) NOT NULL,
  value SMALLINT NOT NULL,
  rated_at BIGINT NOT NULL,
  event_id BIGINT NOT NULL,
  PRIMARY KEY (record_type, record_id, user_id)
);

-- A user's ratings, newest first.
CREATE INDEX ratings_by_user ON ratings (user_id, rated_at, record_type, record_id);

-- The newest ratings of a type: trending reads only those.
CREATE INDEX ratings_by_time ON ratings (record_type, rated_at, record_id, value);

-- One row per record that was ever rated; exact, changed only together with ratings.
CREATE TABLE aggregates (
  record_type VARCHAR(32) NOT NULL,
  record_id VARCHAR(128) NOT NULL,
  votes BIGINT NOT NULL,
  total BIGINT NOT NULL,
  c1 BIGINT NOT NULL,
  c2 BIGINT NOT NULL,
  c3 BIGINT NOT NULL,
  c4 BIGINT NOT NULL,
  c5 BIGINT NOT NULL,
  c6 BIGINT NOT NULL,
  c7 BIGINT NOT NULL,
  c8 BIGINT NOT NULL,
  c9 BIGINT NOT NULL,
  c10 BIGINT NOT NULL,
  PRIMARY KEY (record_type, record_id)
);

-- How far each partition is ingested; moves only together with what its records changed.
CREATE TABLE ingest_offsets (
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  topic VARCHAR(249) NOT NULL,
  next_offset BIGINT NOT NULL,
  PRIMARY KEY (topic_id, part)
);

-- Events that could not be applied, whole. The id is their place in the log, so each is here once.
CREATE TABLE dead_letters (
  id VARCHAR(64) NOT NULL,
  topic VARCHAR(249) NOT NULL,
  topic_id VARCHAR(32) NOT NULL,
  part INTEGER NOT NULL,
  record_offset BIGINT NOT NULL,
  class VARCHAR(64) NOT NULL,
  reason VARCHAR(2000) NOT NULL,
  record_key MEDIUMBLOB,
  payload MEDIUMBLOB,
  content_type VARCHAR(255) NOT NULL,
  record_time BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX dead_letters_by_age ON dead_letters (created_at, id);

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE ingest_offsets;
DROP TABLE aggregates;
DROP TABLE ratings;
