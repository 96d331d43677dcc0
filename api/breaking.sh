#!/usr/bin/env bash
# Fails if the contracts no longer keep what the last release promised: the protos by buf, the REST API by oasdiff, both against
# api/baseline/. It needs Go, which has the tools of tools/go.mod in its cache, and no history: a shallow clone will do.
#
#   api/breaking.sh                compare
#   api/breaking.sh --self-test    prove that it finds the changes that break clients, and no others
#   api/breaking.sh --baseline     make today's contracts the baseline: a part of a release, never of anything else
#
# There is no release yet. Until the first one, if you break a contract on purpose, run --baseline and say so in the change log.
set -euo pipefail
cd "$(dirname "$0")/.."

tool() { go tool -modfile=tools/go.mod "$@"; }

document=gateway/internal/apidocs/openapi.json
baseline=api/baseline

# compare_document also refuses what oasdiff alone takes for harmless, because the requests of old clients still pass: names that
# generated clients make their methods and types of, headers that clients rely on, and what happens where nothing is sent
# (breaking-levels.txt). It has no rule for servers, to whose addresses every client adds its paths; its list of differences has them.
compare_document() {
  tool oasdiff breaking --allow-external-refs=false --fail-on WARN --severity-levels api/breaking-levels.txt "$baseline/openapi.json" "$1" ||
    return # said, because set -e is off in a function that a condition calls; 1 is a break, more is that it could not be read
  local differences
  differences="$(tool oasdiff diff --allow-external-refs=false --format yaml "$baseline/openapi.json" "$1")" || return
  if grep -A 100 '^servers:' <<<"$differences"; then
    echo "api/breaking.sh: the servers are others: clients would send their requests elsewhere" >&2
    return 1
  fi
}
compare_protos() { tool buf breaking "$1" --against "$baseline/protos.binpb"; }

compare() {
  compare_document "$document"
  compare_protos .
}

self_test() {
  local work
  work="$(mktemp -d)"
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$work'" EXIT

  # expect breaks|passes WHAT SED-SCRIPT: the baseline's document, changed by the script, must be refused or let through.
  local broken=1 passed=0 # one of the protos comes last
  expect() {
    case "$1" in breaks) broken=$((broken + 1)) ;; passes) passed=$((passed + 1)) ;; esac
    sed -z -E "$3" "$baseline/openapi.json" >"$work/openapi.json"
    if cmp -s "$baseline/openapi.json" "$work/openapi.json"; then
      echo "api/breaking.sh --self-test: the script for \"$2\" no longer changes anything; fix the script" >&2
      return 1
    fi
    local result=passes status=0
    compare_document "$work/openapi.json" >"$work/out" 2>&1 || status=$?
    case $status in 0) ;; 1) result=breaks ;; *) result="cannot be read" ;; esac
    if [ "$result" != "$1" ]; then
      echo "api/breaking.sh --self-test: the REST API with $2 $result:" >&2
      cat "$work/out" >&2
      return 1
    fi
  }
  expect breaks "a property of answers gone" 's/"votes": \{/"ballots": {/g; s/"votes",/"ballots",/g'
  expect breaks "a parameter gone" 's/"name": "min_year"/"name": "from_year"/'
  expect breaks "a new required parameter" 's/("name": "genre",\n *"in": "query",)/\1 "required": true,/'
  expect breaks "an operation gone" 's#"/v1/movies:lookup"#"/v1/movies:find"#'
  expect breaks "a property of another type" 's/("value": \{\n *"type": )"integer"/\1"string"/g'
  expect breaks "a narrower limit" 's/"maxLength": 200/"maxLength": 100/'
  expect breaks "another name of an operation" 's/"operationId": "getMovie"/"operationId": "readMovie"/'
  expect breaks "another name of a schema" 's#/SearchPage"#/SearchResult"#g; s/"SearchPage": \{/"SearchResult": {/'
  expect breaks "no ETag with one answer" 's/ *"ETag": \{\n *"\$ref": "[^"]*"\n *\},?\n//'
  expect breaks "no ETag with any answer" 's/"ETag": \{(\n *"\$ref")/"X-Tag": {\1/g'
  expect breaks "no Link with any answer" 's/"Link": \{(\n *"\$ref")/"X-Next": {\1/g'
  expect breaks "another default of a parameter" 's/"default": "title"/"default": "year"/'
  expect breaks "no default of a parameter" 's/"default": "title",//'
  expect breaks "another server" 's#("servers": \[\n *\{\n *"url": )"/"#\1"/api"#'
  expect breaks "one more server" 's#("servers": \[)#\1 {"url": "/api", "description": "Another."},#'
  expect passes "another description" 's/Only movies of this genre/Only movies that have this genre/g'
  expect passes "a new parameter" 's/(        "parameters": \[)(\n *\{\n *"name": "genre")/\1 {"name": "country", "in": "query", "description": "Country.", "schema": {"type": "string"}},\2/'

  # The same for the protos, with a copy of them.
  mkdir "$work/protos"
  cp -r buf.yaml api third_party "$work/protos"
  local movie="$work/protos/api/movieexample/movie/v1/movie.proto"
  if ! compare_protos "$work/protos" >"$work/out" 2>&1; then
    echo "api/breaking.sh --self-test: the protos as they are break:" >&2
    cat "$work/out" >&2
    return 1
  fi
  sed -i -E '/^  string director = 6;/d' "$movie"
  if cmp -s api/movieexample/movie/v1/movie.proto "$movie" || compare_protos "$work/protos" >"$work/out" 2>&1; then
    echo "api/breaking.sh --self-test: protos without Movie.director pass" >&2
    return 1
  fi
  echo "the check finds $broken changes that break clients, and accepts $passed others"
}

case "${1:-}" in
  "") compare ;;
  --self-test) self_test ;;
  --baseline)
    mkdir -p "$baseline"
    cp "$document" "$baseline/openapi.json"
    tool buf build --exclude-source-info -o "$baseline/protos.binpb"
    ;;
  *)
    echo "usage: api/breaking.sh [--self-test | --baseline]" >&2
    exit 2
    ;;
esac
