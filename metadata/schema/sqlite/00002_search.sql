-- +goose Up

-- The numbers that were last given out. A transaction that changes films, or votes, takes one
-- number with UPDATE … SET last_number = last_number + 1 and stamps what it changed. The lock on
-- this row then lasts until the transaction's end, so that numbers become visible in their order:
-- a reader who has seen number n will never meet a smaller one later, and can continue after n. It
-- is why no clock and no auto-increment is used: transactions that commit in another order than
-- they took their times or numbers would be passed by, in one process with several connections
-- as well as in several processes.
CREATE TABLE sequences (
    name        VARCHAR(16) NOT NULL,
    last_number BIGINT      NOT NULL,
    PRIMARY KEY (name)
);

-- The change feed: one row per film that there is or was, with the number of its last change. A
-- film that was deleted keeps its row, or readers would miss the deletion.
CREATE TABLE movie_changes (
    movie_id VARCHAR(128) NOT NULL,
    seq      BIGINT       NOT NULL,
    PRIMARY KEY (movie_id)
);

-- How many ratings a film has, as the rating service counts them; search orders by it. A film
-- that lost all of them keeps its row, with 0; a row may wait for a film that is still to come.
CREATE TABLE movie_votes (
    movie_id VARCHAR(128) NOT NULL,
    votes    INTEGER      NOT NULL,
    seq      BIGINT       NOT NULL,
    PRIMARY KEY (movie_id)
);

INSERT INTO sequences (name, last_number) VALUES ('movies', 1), ('votes', 0);

-- Films of an earlier release.
INSERT INTO movie_changes (movie_id, seq) SELECT id, 1 FROM movies;

-- Last, since an index is built faster than it is kept up to date.
CREATE INDEX movie_changes_by_seq ON movie_changes (seq, movie_id);

CREATE INDEX movie_votes_by_seq ON movie_votes (seq, movie_id);
