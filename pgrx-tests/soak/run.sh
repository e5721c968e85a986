#!/usr/bin/env bash
# Soak: the tests that take long, one after the other. ONLY='sessions' runs only those that it names.
#
#   SOAK_SECONDS=600   sessions: how long eight sessions and pgbench go on
#   CANCELS=400        cancels: calls of each kind; SWAPS=500: calls in each loop of swaps
#   DEATHS=50          deaths: rounds of each kind while a private copy is there or is made
#   PAGE_ONE=4         first_page: values for every byte; COLLECTIONS=100000: empty collections in one store
#   RECORDS=1000000    subtransactions: rows of a run
#   STORE=             index_crash: another store
#   HISTORIES=1000     histories of runs and rollbacks against the model
#   OLD=, NEW=         upgrade: pg_config of two servers that have the extension; left out without them
#
# Promise: every one is run, also after one has failed; the exit code says whether all have passed.
. "$(dirname "$0")/../../scripts/lib.sh"
cd "$ROOT"

failed=

# run NAME COMMAND...
run() {
  local name=$1
  shift
  case " ${ONLY:-$name} " in *" $name "*) ;; *) return 0 ;; esac
  say "soak: $name"
  "$@" || failed="$failed $name"
}

run sessions env SOAK_SECONDS="${SOAK_SECONDS:-600}" scripts/test.sh server --test beside_pgbench -- --nocapture
run cancels env CANCELS="${CANCELS:-400}" scripts/test.sh server --test cancels -- --nocapture
run deaths env DEATHS="${DEATHS:-50}" scripts/test.sh server --test private_copies -- --nocapture
run first_page env PAGE_ONE="${PAGE_ONE:-4}" scripts/test.sh core --release --test page_one -- --nocapture
run collections env COLLECTIONS="${COLLECTIONS:-100000}" scripts/test.sh core --release --test many_collections -- --nocapture
run swaps env SWAPS="${SWAPS:-500}" scripts/test.sh server --test swapped_paths -- --nocapture --test-threads 1
run subtransactions env RECORDS="${RECORDS:-1000000}" scripts/test.sh server --test subtransactions -- --nocapture
run index_crash pgrx-tests/soak/index_crash.sh
run histories env HISTORIES="${HISTORIES:-1000}" scripts/test.sh server --test histories
if [ -n "${OLD:-}" ] && [ -n "${NEW:-}" ]; then
  run upgrade pgrx-tests/soak/pg_upgrade.sh
else
  say "soak: upgrade is left out: it needs OLD=/path/to/old/pg_config NEW=/path/to/new/pg_config"
fi

[ -z "$failed" ] || die "failed:$failed"
say "soak: passed"
