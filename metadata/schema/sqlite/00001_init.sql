-- +goose Up

-- One row per film. Times are microseconds since 1970 UTC. What is not known is 0 or ''.
-- genre_keys and title_key are derived (sortkey.go) and stored, so that the rows of
-- movie_listings that belong to a film can be found again without computing them.
-- The long columns come last: a query that needs only the first ones then reads no
-- overflow pages.
CREATE TABLE movies (
    id                 VARCHAR(128) NOT NULL,
    title              VARCHAR(500) NOT NULL,
    release_year       SMALLINT     NOT NULL,
    genre_keys         TEXT         NOT NULL,
    title_key          VARCHAR(250) NOT NULL,
    etag               VARCHAR(32)  NOT NULL,
    create_time        BIGINT       NOT NULL,
    update_time        BIGINT       NOT NULL,
    runtime_minutes    SMALLINT     NOT NULL,
    imdb_id            VARCHAR(16)  NOT NULL,
    tmdb_id            VARCHAR(16)  NOT NULL,
    movielens_id       VARCHAR(16)  NOT NULL,
    original_title     VARCHAR(500) NOT NULL,
    director           VARCHAR(500) NOT NULL,
    genres             TEXT         NOT NULL,
    alternative_titles MEDIUMTEXT   NOT NULL,
    description        TEXT         NOT NULL,
    PRIMARY KEY (id)
);

-- One row per film and list that has it: the list of each of its genres, and the list of
-- all films, whose genre_key is ''. title_key ends in the film's id, so it is unique, it is
-- the position in the list, and the indexes below answer a page without looking elsewhere.
CREATE TABLE movie_listings (
    genre_key    VARCHAR(150) NOT NULL,
    title_key    VARCHAR(250) NOT NULL,
    release_year SMALLINT     NOT NULL,
    decade       SMALLINT     NOT NULL,
    PRIMARY KEY (genre_key, title_key)
);

CREATE INDEX movie_listings_by_year ON movie_listings (genre_key, release_year, title_key);

-- A range of years by title is a merge of whole decades and of single years (store_list.go).
CREATE INDEX movie_listings_by_decade ON movie_listings (genre_key, decade, title_key);

-- Which film carries an id of another catalogue; the primary key keeps it at one film.
CREATE TABLE external_ids (
    source      VARCHAR(16)  NOT NULL,
    external_id VARCHAR(16)  NOT NULL,
    movie_id    VARCHAR(128) NOT NULL,
    PRIMARY KEY (source, external_id)
);
