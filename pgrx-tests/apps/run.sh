#!/usr/bin/env bash
# Apps: migrate_chroma fills the tables of real applications, and the applications' own clients have to find in them what
# they found in their Chroma stores.
# Promise: installs nothing outside target/apps; the server is stopped and its data removed in every case.
#
#   pgrx-tests/apps/run.sh                  every application below, a line each; exit status 1 if anything does not hold
#   pgrx-tests/apps/run.sh mem0 haystack    these
#   pgrx-tests/apps/run.sh --record mem0    writes pgrx-tests/fixtures/apps/mem0* anew: the store and what was recorded of it
#
#   APPS_DIR=   where the packages are kept (default: target/apps)
#
# Needs the installed extension, python3.11, node 20 (for langchain_js) and, the first time, the Python package index and npm's
# (1.4 GB).
. "$(dirname "$0")/../../scripts/lib.sh"
need_pg

here=$ROOT/pgrx-tests/apps
cluster=$ROOT/scripts/cluster.sh
mkdir -p "${APPS_DIR:=$ROOT/target/apps}"
APPS_DIR=$(realpath "$APPS_DIR")
export ANONYMIZED_TELEMETRY=False HAYSTACK_TELEMETRY_ENABLED=False MEM0_TELEMETRY=False LANGCHAIN_TRACING_V2=false
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here LC_ALL=C.UTF-8 TZ=UTC PG_BIN APPS_DIR
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

script=rounds.py
if [ "${1:-}" = --record ]; then
  script=record.py
  shift
fi
all=(open_webui langchain_v1 langchain_v2 llama_index mem0 haystack langchain_legacy langchain_legacy_jsonb vanna vecs)
if have npm; then all+=(langchain_js); else say "langchain_js: left out, there is no npm"; fi
[ $# -gt 0 ] || set -- "${all[@]}"

exec 9>"$APPS_DIR/lock"
flock -n 9 || die "another run of the applications is going on"

. "$here/packages.sh"

trap '"$cluster" destroy apps' EXIT
trap 'exit 130' INT TERM
"$cluster" destroy apps
CLUSTER_OPTIONS="-c fsync=off -c vector_migrate.check_model=off" "$cluster" start apps
eval "$("$cluster" env apps)"
APPS_SCRATCH=$("$cluster" scratch apps)
export APPS_SCRATCH
failed=0
for app in "$@"; do
  [ -e "$here/clients/$app.py" ] || die "no application $app" "there are: ${all[*]}"
  before=
  [ "$app" != open_webui ] || before=$APPS_DIR/open_webui/libs:
  PYTHONPATH=$before$PYTHONPATH "$python" "$here/$script" "$app" || failed=1
done
exit "$failed"
