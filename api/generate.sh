#!/usr/bin/env bash
# Everything that is made of the protos, from the root of the repository: the Go code in gen/, the OpenAPI document with its
# reference page in gateway/internal/apidocs/, and the Go client of the document in test/clients/goclient/. It needs
# Go, which has the tools of tools/go.mod in its cache. The result depends on nothing but what is committed.
set -euo pipefail
cd "$(dirname "$0")/.."

tool() { go tool -modfile=tools/go.mod "$@"; }

docs=gateway/internal/apidocs
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

tool buf lint
tool buf generate

# The plugin makes a document per proto; movie first, because the order of the inputs is the order of the paths.
cat >"$work/buf.gen.yaml" <<EOF
version: v2
inputs:
  - directory: api
plugins:
  - local: [go, tool, -modfile=tools/go.mod, protoc-gen-openapiv3]
    out: $work/parts
    opt: disable_default_errors=true
EOF
tool buf generate --template "$work/buf.gen.yaml"
tool openapiv3-merge \
  "$work"/parts/movieexample/movie/v1/movie.openapi.json \
  "$work"/parts/movieexample/rating/v1/rating.openapi.json >"$work/merged.json"
tool buf build -o "$work/api.binpb"
go run "./$docs/gen" -skeleton "$work/merged.json" -descriptors "$work/api.binpb" -out "$docs/openapi.json" -page "$docs/docs.html"
tool oapi-codegen -config test/clients/goclient/oapi-codegen.yaml "$docs/openapi.json"
