-- +goose NO TRANSACTION
-- +goose Up

-- The tables of schema/sqlite/00002_search.sql, which describes them.
CREATE TABLE IF NOT EXISTS sequences (
    name        VARBINARY(16) NOT NULL,
    last_number BIGINT        NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS movie_changes (
    movie_id VARBINARY(128) NOT NULL,
    seq      BIGINT         NOT NULL,
    PRIMARY KEY (movie_id),
    INDEX movie_changes_by_seq (seq, movie_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS movie_votes (
    movie_id VARBINARY(128) NOT NULL,
    votes    INTEGER        NOT NULL,
    seq      BIGINT         NOT NULL,
    PRIMARY KEY (movie_id),
    INDEX movie_votes_by_seq (seq, movie_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Rows that a killed run left are kept: another process may have continued from them.
INSERT INTO sequences (name, last_number) VALUES ('movies', 1), ('votes', 0)
    ON DUPLICATE KEY UPDATE name = VALUES(name);

INSERT INTO movie_changes (movie_id, seq) SELECT id, 1 FROM movies
    ON DUPLICATE KEY UPDATE movie_id = VALUES(movie_id);
