#!/usr/bin/env bash
# Demo: a Chroma store into pgvector and back, on a private server, every statement shown (demo.sql).
# Promise: always begins with fresh databases; the stores are only read. CHROMA=/path takes the reader's own store in place
# of the two samples (the second: demo_files.sql).
. "$(dirname "$0")/lib.sh"
need_pg

sample=$ROOT/demo/store
files=$ROOT/demo/files
cluster=$ROOT/scripts/cluster.sh

# Can the server's OS user read the store, all of it?
server_reads() { [ -z "$(as_server find -L "$1" ! -readable 2>&1 | sed -n 1p)" ]; }

if [ -n "${CHROMA:-}" ]; then
  own=true
  [ -e "$CHROMA" ] || die "there is nothing at CHROMA=$CHROMA"
  path=$(realpath "$CHROMA")
  user=$(server_user)
  server_reads "$path" || die "the server's OS user $user cannot read all of $path" \
    "let it:    setfacl -R -m u:$user:rX '$path'   (and u:$user:x on each folder above it)" \
    "or:        chmod -R a+rX '$path'" \
    "or copy:   cp -r '$path' /var/tmp/chroma-demo && chmod -R a+rX /var/tmp/chroma-demo && make demo CHROMA=/var/tmp/chroma-demo"
else
  own=false
  path=$sample
  [ -e "$path" ] || die "the sample store demo/store is not there" "use a store of your own: make demo CHROMA=/path/to/chroma"
fi

"$cluster" start demo

# reachable PATH: PATH, or a copy in the cluster's folder where the server's OS user cannot reach the checkout.
reachable() {
  local copy
  if server_reads "$1"; then
    echo "$1"
    return
  fi
  say "the server's OS user cannot reach the checkout: $(basename "$1") is copied to the cluster's folder" >&2
  copy=$("$cluster" scratch demo)/$(basename "$1")
  rm -rf "$copy"
  cp -R "$1" "$copy"
  chmod -R a+rX "$copy"
  echo "$copy"
}

# show DATABASE SCRIPT PSQL_ARGUMENTS...: runs a script of scripts/ in a fresh database.
show() {
  local database=$1 script=$2
  shift 2
  "$cluster" psql demo -X -q -d postgres -c 'SET client_min_messages = warning' \
    -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "CREATE DATABASE $database"
  "$cluster" psql demo -X -d "$database" "$@" <"$ROOT/scripts/$script"
}

path=$(reachable "$path")
say "store: $path"
show demo demo.sql -v path="$path" -v own="$own" \
  -v query1='how do plants turn light into energy' \
  -v query2='saving money for retirement' \
  -v query3='a quick dinner recipe'

if [ "$own" = false ] && [ -e "$files" ]; then
  path=$(reachable "$files")
  echo
  say "another store: $path"
  show demo_files demo_files.sql -v path="$path"
fi

cat <<END

The server keeps running. Look around with:

    $cluster psql demo -d demo          # demo_files: the second store

and stop it with 'make demo-stop'.
END
