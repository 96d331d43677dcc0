#!/usr/bin/env bash
# Makes the secrets of deploy/compose.yaml in deploy/secrets, or in the directory that is given: passwords, and the URLs of the
# databases with them. What is there already stays, so that a second run changes nothing.
set -euo pipefail
dir="${1:-$(cd "$(dirname "$0")" && pwd)/secrets}"

# The directory keeps others on this machine out. The files themselves can be read by all, since Docker shows each, as it is, to
# a container whose user is another one than you.
mkdir -p "$dir"
chmod 700 "$dir"
umask 022

# put NAME TEXT writes a secret that is not there. A file without anything but white space is none: a run was interrupted.
put() {
  grep -q '[^[:space:]]' "$dir/$1" 2>/dev/null && return
  printf '%s' "$2" >"$dir/$1.new"
  mv "$dir/$1.new" "$dir/$1"
}

password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

put mysql_root_password "$(password)"
for service in metadata rating; do
  put "${service}_password" "$(password)"
  put "${service}_migrate_password" "$(password)"
  user="movieexample_$service"
  put "${service}_url" "mysql://$user:$(cat "$dir/${service}_password")@mysql:3306/$user"
  put "${service}_migrate_url" "mysql://${user}_migrate:$(cat "$dir/${service}_migrate_password")@mysql:3306/$user"
done
echo "The secrets are in $dir."
