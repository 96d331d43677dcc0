#!/usr/bin/env bash
# Creates the secrets of deploy/compose.yaml in deploy/secrets, or in the given directory: passwords, and the URLs of the
# databases with them. Existing ones stay, so a second run changes nothing.
set -euo pipefail
dir="${1:-$(cd "$(dirname "$0")" && pwd)/secrets}"

# The directory keeps other users of this machine out. The files themselves are readable by all, because Docker mounts each as it
# is into a container with another user.
mkdir -p "$dir"
chmod 700 "$dir"
umask 022

# put NAME TEXT writes a missing secret. A file with only white space counts as missing: a run was interrupted.
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
