-- The database of the service rating on MySQL 8 or MariaDB 10.11 and later, and who may do what in it.
--
-- Run it once as an administrator, after replacing both passwords:
--   mysql -h HOST -u root -p < deploy/mysql/rating.sql
--
-- Two users, because the process that answers strangers need not be able to change tables:
--   movieexample_rating          is the service's own: it reads and writes rows, here and nowhere else. With it the service
--                             starts when the schema is current, and says what to do when it is not.
--   movieexample_rating_migrate  changes the schema before a new version starts:
--                             movieexample migrate up rating --database mysql://movieexample_rating_migrate:PASSWORD@HOST:3306/movieexample_rating
--                             Migrations only add, so that it has no right to drop anything.
-- Who would rather have the service migrate on its start gives the first user the rights of the second.
--
-- What the two may do then is in rating.grants; a test compares it with SHOW GRANTS. '%' is any host: narrow it to your
-- network, for example '10.0.%'.

-- Texts carry their collation in the tables; this is for what an operator may add.
CREATE DATABASE IF NOT EXISTS movieexample_rating CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE USER IF NOT EXISTS 'movieexample_rating'@'%' IDENTIFIED BY 'REPLACE-THIS-PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE ON movieexample_rating.* TO 'movieexample_rating'@'%';

CREATE USER IF NOT EXISTS 'movieexample_rating_migrate'@'%' IDENTIFIED BY 'REPLACE-THIS-PASSWORD-TOO';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON movieexample_rating.* TO 'movieexample_rating_migrate'@'%';
