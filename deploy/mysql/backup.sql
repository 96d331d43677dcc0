-- The user who makes backups of both databases and copies the binary log (docs/operations.md, "Backup of MariaDB"). It changes
-- nothing. Run it once as an administrator, after replacing the password:
--   mysql -h HOST -u root -p < deploy/mysql/backup.sql
CREATE USER IF NOT EXISTS 'movieexample_backup'@'%' IDENTIFIED BY 'REPLACE-THIS-PASSWORD';
GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER ON `movieexample\_%`.* TO 'movieexample_backup'@'%';
-- RELOAD and REPLICATION CLIENT: to read where in the log the backup is. REPLICATION SLAVE: to copy the log.
GRANT RELOAD, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO 'movieexample_backup'@'%';
