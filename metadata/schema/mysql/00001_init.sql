-- +goose NO TRANSACTION
-- +goose Up

-- The tables of schema/sqlite/00001_init.sql, which describes them, for MySQL 8, MariaDB 10.11 and later, TiDB and
-- Vitess. DDL is not transactional there, so each statement can be repeated: a migration may have been killed halfway.
--
-- Columns that are compared are VARBINARY, which distinguishes case, accents and trailing spaces, as Go and SQLite do.
-- (utf8mb4_bin would ignore trailing spaces.) Their lengths are the limits in bytes. Text for people is utf8mb4, whose
-- VARCHAR counts characters, as the limits of titles do; TEXT counts bytes, and holds the longest description in 4-byte
-- characters.
CREATE TABLE IF NOT EXISTS movies (
    id                 VARBINARY(128) NOT NULL,
    title              VARCHAR(500)   NOT NULL,
    release_year       SMALLINT       NOT NULL,
    genre_keys         BLOB           NOT NULL,
    title_key          VARBINARY(250) NOT NULL,
    etag               VARBINARY(32)  NOT NULL,
    create_time        BIGINT         NOT NULL,
    update_time        BIGINT         NOT NULL,
    runtime_minutes    SMALLINT       NOT NULL,
    imdb_id            VARBINARY(16)  NOT NULL,
    tmdb_id            VARBINARY(16)  NOT NULL,
    movielens_id       VARBINARY(16)  NOT NULL,
    original_title     VARCHAR(500)   NOT NULL,
    director           VARCHAR(500)   NOT NULL,
    genres             TEXT           NOT NULL,
    alternative_titles MEDIUMTEXT     NOT NULL,
    description        TEXT           NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- A genre of 50 characters has a key of up to 300 bytes: folding case makes up to 6 bytes of a character.
CREATE TABLE IF NOT EXISTS movie_listings (
    genre_key    VARBINARY(300) NOT NULL,
    title_key    VARBINARY(250) NOT NULL,
    release_year SMALLINT       NOT NULL,
    decade       SMALLINT       NOT NULL,
    PRIMARY KEY (genre_key, title_key),
    INDEX movie_listings_by_year (genre_key, release_year, title_key),
    INDEX movie_listings_by_decade (genre_key, decade, title_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS external_ids (
    source      VARBINARY(16)  NOT NULL,
    external_id VARBINARY(16)  NOT NULL,
    movie_id    VARBINARY(128) NOT NULL,
    PRIMARY KEY (source, external_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
