# Sourced by the entrypoint of the images mariadb and mysql when their data directory is new: docker_process_sql is its own.
# Creates the databases and users of deploy/mysql, with the passwords of the secrets instead of the placeholders.
# The passwords are hexadecimal (deploy/secrets.sh), so sed and SQL take them as they are.
for service in metadata rating; do
  sed -e "s/REPLACE-THIS-PASSWORD-TOO/$(cat "/run/secrets/${service}_migrate_password")/" \
      -e "s/REPLACE-THIS-PASSWORD/$(cat "/run/secrets/${service}_password")/" \
      "/movieexample/mysql/${service}.sql" | docker_process_sql
done
