#!/usr/bin/env bash
# Fidelity: real chromadb releases write stores at random, and the reader has to give what they return.
#
#   pgrx-tests/fidelity/run.sh            every release and upgrade below
#   pgrx-tests/fidelity/run.sh --compare  only the comparison, of what lies there
#
#   RELEASES='0.4.24 0.6.3>1.5.9'  which; `a>b`: written by a, then opened and written by b
#   SEEDS='1 2 3'                  one store each; a mismatch comes again with the same seed
#   JOBS=2                         stores at a time
#
# Needs python3.11, cargo and, for a release that is not installed yet, the Python package index. The stores are
# left under target/fidelity/<release>/<seed>/.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venvs=${FIXTURE_VENVS:-$root/target/fixture-venvs}
work=$root/target/fidelity
read -ra labels <<<"${RELEASES:-0.4.3 0.4.24 0.5.0 0.5.5 0.5.23 0.6.3 1.0.0 1.0.21 1.1.1 1.3.7 1.5.9 0.4.24>0.6.3 0.5.5>0.6.3 0.6.3>1.5.9 1.0.0>1.5.9}"
read -ra seeds <<<"${SEEDS:-1 2 3}"

export ANONYMIZED_TELEMETRY=False PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
unset CHROMA

# one LABEL SEED: write the store, two stages a release; then what its last release says, on a copy, and the reader.
one() {
    local label=$1 seed=$2 folder=$work/$1/$2 stages=() stage=0 release
    if [[ $label == *'>'* ]]; then
        read -ra stages <<<"${label//>/ }"
        stages=("${stages[0]}" "${stages[@]}")
    else
        stages=("$label" "$label")
    fi
    rm -rf "$folder"
    mkdir -p "$folder"
    exec 2>"$folder/log"
    for release in "${stages[@]}"; do
        stage=$((stage + 1))
        STAGES=${stages[*]} "$venvs/$release/bin/python" "$here/history.py" "$folder/store" "$folder/state.json" "$seed" "$stage" >&2
    done
    cp -r "$folder/store" "$folder/copy"
    "$venvs/$release/bin/python" "$here/answer.py" "$folder/copy" "$folder/state.json" "$folder/answer.jsonl" >&2
    rm -rf "$folder/copy"
}

# What xargs starts.
if [[ ${1:-} == --one ]]; then
    label=$2 seed=$3
    trap '[[ $? -eq 0 ]] || { echo "$label/$seed failed:"; tail -n 15 "$work/$label/$seed/log"; }' EXIT
    one "$label" "$seed"
    exit
fi

cargo build --quiet --manifest-path "$root/Cargo.toml" -p vector_migrate_core --example dump_store
failed=0
if [[ ${1:-} != --compare ]]; then
    IFS=' >' read -ra releases <<<"${labels[*]}"
    "$root/pgrx-tests/fixtures/generate.sh" --install "${releases[@]}"
    for label in "${labels[@]}"; do rm -rf "${work:?}/$label"; done
    for label in "${labels[@]}"; do
        for seed in "${seeds[@]}"; do printf '%s\0%s\0' "$label" "$seed"; done
    done | xargs -0 -n 2 -P "${JOBS:-2}" "$here/run.sh" --one || failed=1
fi
for label in "${labels[@]}"; do
    for folder in "$work/$label"/*/; do
        [[ -e $folder/answer.jsonl ]] || continue
        "$root/target/debug/examples/dump_store" "$folder/store" >"$folder/reader.jsonl" || echo "$folder: not read" >&2
    done
done
python3.11 "$here/compare.py" "$work" "${labels[@]}"
exit "$failed"
