-- The database of the service metadata on MySQL 8 or MariaDB 10.11 and later, and who may do what in it.
--
-- Run it once as an administrator, after replacing both passwords:
--   mysql -h HOST -u root -p < deploy/mysql/metadata.sql
--
-- Two users, because the process that answers strangers need not be able to change tables:
--   movieexample_metadata          is the service's own: it reads and writes rows, here and nowhere else. With it the service
--                             starts when the schema is current, and says what to do when it is not.
--   movieexample_metadata_migrate  changes the schema before a new version starts:
--                             movieexample migrate up metadata --database mysql://movieexample_metadata_migrate:PASSWORD@HOST:3306/movieexample_metadata
--                             Migrations only add, so that it has no right to drop anything.
-- Who would rather have the service migrate on its start gives the first user the rights of the second.
--
-- What the two may do then is in metadata.grants; a test compares it with SHOW GRANTS. '%' is any host: narrow it to your
-- network, for example '10.0.%'.

-- Texts carry their collation in the tables; this is for what an operator may add.
CREATE DATABASE IF NOT EXISTS movieexample_metadata CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE USER IF NOT EXISTS 'movieexample_metadata'@'%' IDENTIFIED BY 'REPLACE-THIS-PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE ON movieexample_metadata.* TO 'movieexample_metadata'@'%';

CREATE USER IF NOT EXISTS 'movieexample_metadata_migrate'@'%' IDENTIFIED BY 'REPLACE-THIS-PASSWORD-TOO';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON movieexample_metadata.* TO 'movieexample_metadata_migrate'@'%';
