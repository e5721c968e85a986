#!/usr/bin/env bash
# Test: test.sh core | server [cargo test arguments]
# Promise: the exit code is the tests'; the server tests' cluster is stopped in every case.
#
#   core     everything that knows no PostgreSQL, with the real text model; and the scripts of setup and install
#   server   SQL on a real server (target/test-cluster) that has the installed extension, and no network where the
#            system allows to take it away
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
[ $# -ge 1 ] || die "usage: test.sh core|server [cargo test arguments]"
what=$1
shift

export VECTOR_MIGRATE_MODEL=$MODEL_DIR VECTOR_MIGRATE_ORT=$ORT_LIB
# The extension sets it in the server; a test process has to bring it along.
export ORT_DISABLE_TELEMETRY=1

case $what in
core)
  if [ $# -eq 0 ]; then # the arguments are cargo's
    say "tests of the scripts"
    PYTHONDONTWRITEBYTECODE=1 "$VENV/bin/python" -m unittest discover --buffer -s pgrx-tests/scripts
  fi
  say "tests of the core (no server)"
  cargo test -p vector_migrate_core --features onnx "$@"
  ;;
server)
  need_pg
  scripts/sql.sh --check # what is installed is the committed script
  say "tests on a server: building"
  cargo test -p vector_migrate_tests --no-run
  mkdir -p target
  exec 9>target/test-cluster.lock
  flock 9 # one run at a time has the cluster
  trap 'scripts/cluster.sh stop test' EXIT
  trap 'exit 130' INT TERM
  CLUSTER_WITHOUT_NETWORK=1 scripts/cluster.sh start test
  eval "$(scripts/cluster.sh env test)"
  export VECTOR_MIGRATE_HOST=$PGHOST VECTOR_MIGRATE_PORT=$PGPORT VECTOR_MIGRATE_USER=$PGUSER
  VECTOR_MIGRATE_SERVER_OS_USER=$(server_user)
  VECTOR_MIGRATE_SCRATCH=$(scripts/cluster.sh scratch test)
  VECTOR_MIGRATE_NETWORK=$(scripts/cluster.sh network test)
  export VECTOR_MIGRATE_SERVER_OS_USER VECTOR_MIGRATE_SCRATCH VECTOR_MIGRATE_NETWORK
  unset PGHOST PGPORT PGUSER
  case $VECTOR_MIGRATE_NETWORK in
  none) say "tests on a server: PostgreSQL $PG_MAJOR, without a network" ;;
  *) say "tests on a server: PostgreSQL $PG_MAJOR, with the network ($VECTOR_MIGRATE_NETWORK)" ;;
  esac
  cargo test -p vector_migrate_tests "$@"
  ;;
*) die "usage: test.sh core|server [cargo test arguments]" ;;
esac
