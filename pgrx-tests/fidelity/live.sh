#!/usr/bin/env bash
# Live: chromadb releases write to a store all the time while the reader reads it; every result has to be the store
# after one of the writer's calls. The test is src/core/tests/live_loop.rs.
#
#   RELEASES='0.4.24 0.6.3 1.5.9'  which releases
#   ROUNDS=50                      reads of each
#
# Needs what run.sh needs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venvs=${FIXTURE_VENVS:-$root/target/fixture-venvs}
read -ra releases <<<"${RELEASES:-0.4.24 0.6.3 1.5.9}"
export LIVE_ROUNDS=${ROUNDS:-50} ANONYMIZED_TELEMETRY=False PYTHONDONTWRITEBYTECODE=1

cd "$root"
for release in "${releases[@]}"; do
    "$venvs/$release/bin/python" -c 'import chromadb' 2>/dev/null || "$root/pgrx-tests/fixtures/generate.sh" --install "$release"
done
cargo test --quiet -p vector_migrate_core --test live_loop --no-run
failed=0
for release in "${releases[@]}"; do
    echo "== chromadb $release"
    LIVE_PYTHON=$venvs/$release/bin/python cargo test --quiet -p vector_migrate_core --test live_loop -- --ignored --nocapture || failed=1
done
exit "$failed"
