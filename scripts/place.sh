# shellcheck shell=bash
# Sourced after lib.sh by what puts files where a running server uses them.
#
# Promise: sessions have these files mapped, and a mapped file that becomes shorter ends the whole server (SIGBUS). So nothing
# here writes into a file that is in use: the new one is made under another name and renamed, and who has the old one
# keeps it. What an interrupted call leaves, X.install-new and X.install-old, the next one clears away.

# put FROM TO: copies a file or a folder, whole or not at all; what is identical is not copied again.
put() {
  recover "$2"
  if diff -rq "$1" "$2" >/dev/null 2>&1; then return 0; fi
  say "copying $(basename "$1") to $2"
  $SUDO cp -RL "$1" "$2.install-new" # the contents: neither links nor hard links to FROM
  $SUDO chmod -R u=rwX,go=rX "$2.install-new"
  place "$2.install-new" "$2"
}

# place NEW TO: renames NEW, a file or a folder, to TO in the same file system. A file replaces the old one in one step, and
# so does a folder where `mv --exchange` is there (coreutils 9.5); else there is no TO between two renames.
place() {
  recover_old "$2"
  if [ ! -d "$1" ] && { [ ! -d "$2" ] || [ -L "$2" ]; }; then
    $SUDO mv -fT "$1" "$2"
  elif [ -e "$2" ] && can_exchange && $SUDO mv -T --exchange "$1" "$2" 2>/dev/null; then
    $SUDO rm -rf "$1"
  elif [ -e "$2" ] || [ -L "$2" ]; then
    $SUDO mv -T "$2" "$2.install-old"
    $SUDO mv -T "$1" "$2" || {
      $SUDO mv -T "$2.install-old" "$2"
      die "$1 could not be renamed to $2"
    }
    $SUDO rm -rf "$2.install-old"
  else
    $SUDO mv -T "$1" "$2"
  fi
}

# recover TO: clears away what an interrupted put or place has left, and brings the old TO back where there is no other.
recover() {
  $SUDO rm -rf "$1.install-new"
  recover_old "$1"
}

recover_old() {
  if [ ! -e "$1" ] && [ ! -L "$1" ] && [ -e "$1.install-old" ]; then $SUDO mv -T "$1.install-old" "$1"; fi
  $SUDO rm -rf "$1.install-old"
}

can_exchange() { mv --help 2>/dev/null | grep -q -- --exchange; }
