#!/usr/bin/env bash
# Demo: a Chroma store into pgvector and back, on a private server, every statement shown (demo.sql).
# Promise: always begins with a fresh database; the store is only read. CHROMA=/path takes the reader's own store.
. "$(dirname "$0")/lib.sh"
need_pg

sample=$ROOT/demo/store
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
if ! server_reads "$path"; then
  say "the server's OS user cannot reach the checkout: the sample store is copied to the cluster's folder"
  path=$("$cluster" scratch demo)/store
  rm -rf "$path"
  cp -R "$sample" "$path"
  chmod -R a+rX "$path"
fi

say "store: $path"
"$cluster" psql demo -X -q -d postgres -c 'SET client_min_messages = warning' \
  -c 'DROP DATABASE IF EXISTS demo WITH (FORCE)' -c 'CREATE DATABASE demo'
"$cluster" psql demo -X -d demo -v path="$path" -v own="$own" \
  -v query1='how do plants turn light into energy' \
  -v query2='saving money for retirement' \
  -v query3='a quick dinner recipe' \
  <"$ROOT/scripts/demo.sql"

cat <<END

The server keeps running. Look around with:

    $cluster psql demo -d demo

and stop it with 'make demo-stop'.
END
