#!/usr/bin/env bash
# Setup: pgvector, the extension that the migrated vectors live in.
# Promise: one that is there is left alone; else the distribution's package, else Debian's source package, built.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/apt.sh"
need_pg

suite=trixie # the Debian release whose source package is built where there is no binary one
control=$("$PG_CONFIG" --sharedir)/extension/vector.control
version() { sed -nE "s/^default_version *= *'(.*)'/\1/p" "$control"; }

# The host's own Debian mirror: the first source that offers this release itself.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}") || return 0
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE "s/^deb(-src)? +(\[[^]]*\] +)?([^ ]+) +$codename +.*/\3/p"
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk -v suite="$codename" 'BEGIN { RS = ""; FS = "\n" } {
      uri = ""; match_ = 0
      for (i = 1; i <= NF; i++) {
        n = split($i, word, " ")
        if (word[1] == "URIs:") uri = word[2]
        if (word[1] == "Suites:") for (j = 2; j <= n; j++) if (word[j] == suite) match_ = 1
      }
      if (match_ && uri != "") print uri
    }'
}

fetch_source() {
  local mirror work=$1
  have apt-get || die "pgvector is missing for $PG_CONFIG" "build it from its source (make install PG_CONFIG=$PG_CONFIG) and run this again"
  mirror=$(debian_mirror | sed -n 1p)
  [ -n "$mirror" ] || die "pgvector is missing for $PG_CONFIG, and no Debian mirror in apt's sources to take it from" \
    "install the package postgresql-$PG_MAJOR-pgvector, or build pgvector with PG_CONFIG=$PG_CONFIG, and run this again"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  echo "deb-src $mirror $suite main" >"$work/sources.list"
  # Kept apart from the system's own lists: nothing of it stays behind.
  local apt=(apt-get -qq -oDir::Etc::SourceList="$work/sources.list" -oDir::Etc::SourceParts=/dev/null
    -oDir::State::Lists="$work/lists" -oDir::Cache="$work/cache" -oAPT::Sandbox::User=)
  (cd "$work" && "${apt[@]}" update && "${apt[@]}" source --download-only pgvector) >"$DEPS/pgvector.log" 2>&1 || {
    tail -n 5 "$DEPS/pgvector.log" >&2
    die "could not fetch Debian's source package pgvector" "is the network there?"
  }
}

build() {
  local work=$DEPS/pgvector
  rm -rf "$work"
  mkdir -p "$work/src"
  say "pgvector: fetching Debian's source package ($suite)"
  fetch_source "$work"
  tar -xzf "$work"/pgvector_*.orig.tar.gz -C "$work/src" --strip-components=1
  say "pgvector: building it for $PG_CONFIG"
  # OPTFLAGS: Debian's own patch, a build for any CPU of the kind. Bitcode for the JIT is left out.
  { make -C "$work/src" OPTFLAGS= with_llvm=no PG_CONFIG="$PG_CONFIG" &&
    $SUDO make -C "$work/src" install with_llvm=no PG_CONFIG="$PG_CONFIG"; } >>"$DEPS/pgvector.log" 2>&1 || {
    tail -n 15 "$DEPS/pgvector.log" >&2
    die "building pgvector failed (log: $DEPS/pgvector.log)"
  }
  rm -rf "$work"
}

if [ -f "$control" ]; then
  say "pgvector $(version): present"
  exit 0
fi
libdir=$("$PG_CONFIG" --pkglibdir)
[ -w "$libdir" ] || [ -n "$SUDO" ] || die "pgvector is missing, and $libdir is not writable" \
  "as root: apt-get install postgresql-$PG_MAJOR-pgvector (where apt has it), or 'make setup SUDO=sudo'"
case $PG_CONFIG in
/usr/lib/postgresql/*) if apt_has "postgresql-$PG_MAJOR-pgvector"; then apt_install "postgresql-$PG_MAJOR-pgvector"; fi ;;
esac
[ -f "$control" ] || build
say "pgvector $(version): installed"
