#!/usr/bin/env bash
# Property: a thousand short histories of add, update, upsert and delete by the oldest and the newest chromadb release,
# and the reader has to give what the release returns.
#
#   pgrx-tests/fidelity/property.sh            the histories below
#   pgrx-tests/fidelity/property.sh --compare  only the reader and the comparison, of what lies there
#
#   HISTORIES=1000         how many, for each release; 50 in a store, each a collection
#   RELEASES='0.4.0 1.5.9' which releases
#   SEED=1                 number of the first store; a mismatch comes again with the number that is printed with it
#   JOBS=2                 stores at a time
#
# Needs what run.sh needs. The stores are left under target/property/<release>/<number>/.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venvs=${FIXTURE_VENVS:-$root/target/fixture-venvs}
work=$root/target/property
built=${CARGO_TARGET_DIR:-$root/target}
histories=${HISTORIES:-1000}
read -ra releases <<<"${RELEASES:-0.4.0 1.5.9}"
first=${SEED:-1}
each=50

export ANONYMIZED_TELEMETRY=False PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
unset CHROMA

# What xargs starts, with RELEASE and NUMBER: write the store in two processes; then what its release says, on a copy.
if [[ ${1:-} == --one ]]; then
    release=$2 seed=$3 folder=$work/$2/$3 python=$venvs/$2/bin/python
    trap '[[ $? -eq 0 ]] || { echo "$release/$seed failed:"; tail -n 15 "$folder/log"; }' EXIT
    mkdir -p "$folder"
    exec 2>"$folder/log"
    left=$((histories - (seed - first) * each))
    for stage in 1 2; do
        HISTORIES=$((left < each ? left : each)) "$python" "$here/property.py" "$folder/store" "$folder/state.json" "$seed" "$stage" >&2
    done
    cp -r "$folder/store" "$folder/copy"
    "$python" "$here/answer.py" "$folder/copy" "$folder/state.json" "$folder/answer.jsonl" >&2
    rm -rf "$folder/copy"
    exit
fi

cargo build --quiet --manifest-path "$root/Cargo.toml" -p vector_migrate_core --example dump_store
failed=0
if [[ ${1:-} != --compare ]]; then
    for release in "${releases[@]}"; do
        "$venvs/$release/bin/python" -c 'import chromadb' 2>/dev/null || "$root/pgrx-tests/fixtures/generate.sh" --install "$release"
    done
    for release in "${releases[@]}"; do rm -rf "${work:?}/$release"; done
    for release in "${releases[@]}"; do
        for ((seed = first; (seed - first) * each < histories; seed++)); do printf '%s\0%s\0' "$release" "$seed"; done
    done | xargs -0 -n 2 -P "${JOBS:-2}" "$here/property.sh" --one || failed=1
fi
for release in "${releases[@]}"; do
    for folder in "$work/$release"/*/; do
        [[ -e $folder/answer.jsonl ]] || continue
        "$built/debug/examples/dump_store" "$folder/store" >"$folder/reader.jsonl" || echo "$folder: not read" >&2
    done
done
python3.11 "$here/compare.py" "$work" "${releases[@]}" || failed=1
exit "$failed"
