#!/usr/bin/env bash
# Setup: PostgreSQL with its server headers, a C toolchain, and clang for pgrx's bindings.
# Promise: a PostgreSQL that is already there is left alone; one installed here gets no cluster of its own.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/apt.sh"

# Debian's packages create and start a cluster "main" on installation. Not for one that we bring.
install_postgres() {
  local dropin=/etc/postgresql-common/createcluster.d/vector_migrate-setup.conf
  apt_install postgresql-common
  $SUDO mkdir -p "$(dirname "$dropin")"
  echo 'create_main_cluster = false' | $SUDO tee "$dropin" >/dev/null
  trap '$SUDO rm -f '"$dropin" EXIT
  apt_install "postgresql-$1" "postgresql-server-dev-$1"
}

# libclang itself, as bindgen looks for it; libclang-cpp is another library.
have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -qE 'libclang(-[0-9.]+)?\.so' ||
    compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null || compgen -G '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' >/dev/null
}

asked=${PG_CONFIG:-}
pick_pg
debian_major() { sed -nE 's#^/usr/lib/postgresql/([0-9]+)/bin/pg_config$#\1#p' <<<"$1"; }
if [ -z "$asked" ] && ! [ -x /usr/lib/postgresql/15/bin/pg_config ] && apt_has postgresql-15 && { is_root || [ -n "$SUDO" ]; }; then
  PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
fi
if ! pg_usable "$PG_CONFIG"; then
  major=$(debian_major "$PG_CONFIG")
  [ -n "$major" ] || die "no PostgreSQL with server headers at $PG_CONFIG"
  have apt-get || die "no PostgreSQL $major here, and this is not a Debian or Ubuntu host" \
    "install PostgreSQL with its server headers and name it: make setup PG_CONFIG=/path/to/pg_config"
  apt_has "postgresql-$major" || apt_update "PostgreSQL $major" "postgresql-$major postgresql-server-dev-$major"
  apt_has "postgresql-$major" || die "apt has no package postgresql-$major here" \
    "install a PostgreSQL that it has (apt-get install postgresql postgresql-server-dev-all)," \
    "and name it: make setup PG_CONFIG=/usr/lib/postgresql/NN/bin/pg_config"
  install_postgres "$major"
fi

missing=()
{ have cc && have make; } || missing+=(build-essential)
have clang || missing+=(clang)
have_libclang || missing+=(libclang-dev)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

need_pg
say "PostgreSQL: $("$PG_CONFIG" --version) ($PG_CONFIG)"
