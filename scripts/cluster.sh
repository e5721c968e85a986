#!/usr/bin/env bash
# A private PostgreSQL cluster under target/: cluster.sh start|stop|psql|env|scratch|network|destroy NAME [psql arguments]
# Promise: reached through a Unix socket only, by the superuser postgres; no other cluster, port or service is touched.
#
#   target/NAME-cluster/   data/ (the cluster), log, socket (says where the socket's folder is), scratch/ (for anybody),
#                          network ("none", or why there is one)
#
# CLUSTER_OPTIONS='-c ...' are settings of the server; CLUSTER_WITHOUT_NETWORK=1 starts it where there is no network but a
# Unix socket, if the system allows that.
#
# As root the server runs as the OS user postgres. Where that user cannot reach the checkout, the folder is made under
# /var/tmp and target/NAME-cluster is a link to it. The socket is under /tmp: its path may not exceed 107 bytes.
. "$(dirname "$0")/lib.sh"

usage() { die "usage: cluster.sh start|stop|psql|env|scratch|network|destroy NAME [psql arguments]"; }
[ $# -ge 2 ] || usage
command=$1 name=$2
shift 2
[[ $name =~ ^[a-z0-9]+$ ]] || die "a cluster's name is lower case letters and digits"

link=$ROOT/target/$name-cluster
dir=$(readlink -f "$link" || true)
port=5432 # names the socket file; no TCP port is opened

socket_dir() { cat "$dir/socket" 2>/dev/null || true; }

# The postmaster's pid when it is alive and really serves this data directory, else nothing.
postmaster() {
  local pid
  pid=$(as_server sed -n 1p "$dir/data/postmaster.pid" 2>/dev/null) || return 0
  [ -n "$pid" ] || return 0
  if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$dir/data" ]; then echo "$pid"; fi
}

sql() {
  local psql=$PG_BIN/psql
  [ -x "$psql" ] || psql=psql
  env -u PGOPTIONS -u PGSERVICE -u PGDATABASE -u PGHOSTADDR -u PGPASSWORD \
    "$psql" -h "$(socket_dir)" -p "$port" -U postgres "$@"
}

answers() { sql -X -q -d postgres -c 'SELECT 1' >/dev/null 2>&1; }

# A folder for the cluster that the server's OS user can reach.
make_dir() {
  rm -f "$link" # a link whose folder is gone
  mkdir -p "$link"
  chmod 755 "$link"
  if ! as_server test -x "$link"; then
    rmdir "$link"
    dir=$(mktemp -d "/var/tmp/vector_migrate-$name.XXXXXX")
    chmod 755 "$dir"
    ln -s "$dir" "$link"
  fi
  dir=$(readlink -f "$link")
  mkdir "$dir/data"
  chmod 700 "$dir/data"
  : >"$dir/log"
  if is_root; then chown "$(server_user)" "$dir/data" "$dir/log"; fi
}

init() {
  as_server "$PG_BIN/initdb" --pgdata="$dir/data" --auth=trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$dir/initdb.log" 2>&1 || {
    cat "$dir/initdb.log" >&2
    die "initdb failed"
  }
}

make_socket_dir() {
  local socket
  socket=$(socket_dir)
  if [ -z "$socket" ] || [ ! -d "$socket" ]; then
    socket=$(mktemp -d /tmp/vector_migrate.XXXXXX)
    chmod 755 "$socket"
    if is_root; then chown "$(server_user)" "$socket"; fi
    echo "$socket" >"$dir/socket"
  fi
}

# Sets `network` to what the file of this name says, and `apart` to the command that another one is run by.
choose_network() {
  apart=() network="it was not asked for"
  [ -n "${CLUSTER_WITHOUT_NETWORK:-}" ] || return 0
  if [ "$PG_MAJOR" -lt 15 ]; then
    network="PostgreSQL $PG_MAJOR collects its statistics through a socket of the loopback interface"
    return 0
  fi
  # An ordinary user needs a user namespace for it, in which it is still itself: PostgreSQL refuses root.
  if is_root; then apart=(unshare --net --); else apart=(unshare --user --map-current-user --net --); fi
  if network=$("${apart[@]}" true 2>&1); then network=none; else apart=(); fi
}

# As as_server, by way of `apart`.
launch() {
  if is_root; then
    (cd / && exec "${apart[@]}" runuser -u "$(server_user)" -- "$@")
  else
    (cd / && exec "${apart[@]}" "$@")
  fi
}

start() {
  local options apart network
  if is_root && ! id "$(server_user)" >/dev/null 2>&1; then
    die "PostgreSQL does not run as root, and there is no OS user $(server_user) to run it as" \
      "create one (useradd --system postgres), or name one: SERVER_OS_USER=..."
  fi
  as_server test -x "$PG_BIN/postgres" || die "the OS user $(server_user) cannot reach $PG_BIN"

  if [ -n "$dir" ] && [ -d "$dir/data" ]; then
    if [ "$(as_server cat "$dir/data/PG_VERSION" 2>/dev/null)" != "$PG_MAJOR" ]; then
      say "cluster $name: not of PostgreSQL $PG_MAJOR, made anew"
      destroy
    elif [ -n "$(postmaster)" ] && answers; then
      say "cluster $name: running"
      return
    else
      stop immediate # left by a killed session, or its socket is gone
    fi
  fi
  if [ -z "$dir" ] || [ ! -d "$dir/data" ]; then
    make_dir
    init
  fi

  make_socket_dir
  mkdir -p "$dir/scratch"
  chmod 1777 "$dir/scratch"
  options="-c listen_addresses='' -c unix_socket_directories='$(socket_dir)' -c port=$port -c log_line_prefix='%m [%p] '"
  # Tests may lose their cluster in a power cut; a reader's demo should not. Some prepare transactions.
  [ "$name" != test ] || options="$options -c fsync=off -c max_prepared_transactions=10 -c max_locks_per_transaction=256"
  options="$options ${CLUSTER_OPTIONS:-}"
  choose_network
  echo "$network" >"$dir/network"
  # Descriptors of ours (locks) are not the server's.
  launch "$PG_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -s -o "$options" start </dev/null >/dev/null 8>&- 9>&- || {
    tail -n 15 "$dir/log" >&2
    die "cluster $name does not start (log: $dir/log)"
  }
  say "cluster $name: started, PostgreSQL $PG_MAJOR as OS user $(server_user), socket $(socket_dir)"
}

# stop [MODE]: also cleans up after a server that was killed.
stop() {
  local mode=${1:-fast} socket
  if [ -z "$dir" ] || [ ! -d "$dir/data" ]; then return 0; fi
  if [ -n "$(postmaster)" ]; then
    as_server "$PG_BIN/pg_ctl" -D "$dir/data" -m "$mode" -w -t 60 -s stop || die "cluster $name does not stop"
    say "cluster $name: stopped"
  else
    as_server rm -f "$dir/data/postmaster.pid" # its process is gone, or the number is another program's now
  fi
  socket=$(socket_dir)
  case $socket in
  /tmp/vector_migrate.*) rm -rf "$socket" ;;
  esac
  rm -f "$dir/socket"
}

destroy() {
  stop immediate
  if [ -n "$dir" ]; then rm -rf "$dir"; fi
  rm -rf "$link"
  dir=
}

need_pg
case $command in
start) start ;;
stop) stop ;;
destroy) destroy ;;
psql | env | scratch | network)
  [ -n "$(socket_dir)" ] || die "cluster $name is not running"
  case $command in
  psql) sql "$@" ;;
  env) printf 'export PGHOST=%s PGPORT=%s PGUSER=postgres\n' "$(socket_dir)" "$port" ;;
  scratch) echo "$dir/scratch" ;;
  network) cat "$dir/network" ;;
  esac
  ;;
*) usage ;;
esac
