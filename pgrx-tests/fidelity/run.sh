#!/usr/bin/env bash
# Fidelity: real chromadb releases write stores at random, and the reader has to give what they return.
#
#   pgrx-tests/fidelity/run.sh            every label below
#   pgrx-tests/fidelity/run.sh --compare  only the reader and the comparison, of what lies there
#
#   RELEASES='...'  which labels. `a`: written by a in two processes; `a>b>c`: by a twice, then opened and written by b,
#                   then by c. Each may end in +server (written through `chroma run`), +vacuum (and vacuumed after each
#                   stage) or, the last one, +killed (killed with SIGKILL while it writes, KILLS times, each compared)
#   SEEDS='1 2'     one store each; a mismatch comes again with the same seed, except where the writer is killed
#   KILLS=3         how often
#   JOBS=2          stores at a time
#
# Needs python3.11, cargo and, for a release that is not installed yet, the Python package index. The stores are
# left under target/fidelity/<label>/<seed>/.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venvs=${FIXTURE_VENVS:-$root/target/fixture-venvs}
work=$root/target/fidelity
built=${CARGO_TARGET_DIR:-$root/target}

releases="0.4.0 0.4.24 0.5.0 0.5.5 0.5.23 0.6.3 1.0.0 1.0.21 1.1.1 1.3.7 1.5.9"
upgrades="0.4.24>0.6.3 0.5.5>0.6.3 0.6.3>1.5.9 1.0.0>1.5.9 0.4.3>0.5.5>0.6.3>1.0.21>1.5.9 0.4.24>0.5.23>1.1.1>1.5.9"
others="0.6.3+server 1.5.9+server 0.6.3+vacuum 1.5.9+vacuum 0.5.5>0.6.3+vacuum"
read -ra labels <<<"${RELEASES:-$releases $upgrades $others ${releases// /+killed }+killed}"
read -ra seeds <<<"${SEEDS:-1 2}"

export ANONYMIZED_TELEMETRY=False PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
unset CHROMA

# stages_of LABEL: one line a stage, each with a release and what is special about it.
stages_of() {
    local tokens first
    read -ra tokens <<<"${1//>/ }"
    first=${tokens[0]}
    [[ ${#tokens[@]} -gt 1 || $first != *+killed ]] || first=${first%+killed}
    printf '%s\n' "$first" "${tokens[@]}"
}

vacuum() {
    case $1 in
    0.*) "$venvs/$1/bin/chroma" utils vacuum --force --path "$2" ;;
    *) "$venvs/$1/bin/chroma" vacuum --force --path "$2" ;;
    esac
}

# kills PYTHON FOLDER LABEL SEED: the store is copied after each kill and compared as it then is; the writer goes on.
kills() {
    local python=$1 folder=$2 label=$3 seed=$4 round copy
    for ((round = 1; round <= ${KILLS:-3}; round++)); do
        copy=$work/$label/$seed.$round
        if ! "$python" "$here/killed.py" "$folder/store" "$folder/state.json" "$folder/given.jsonl" "$seed.$round" >&2; then
            # What the kill before left is too much for the release: it crashes before it can be killed again.
            [[ $round -gt 1 ]] || return 1
            echo "$label/$seed: no more than $((round - 1)) kills" >&2
            return
        fi
        mkdir -p "$copy"
        cp -r "$folder/store" "$folder/state.json" "$folder/given.jsonl" "$copy/"
        "$python" "$here/ask.py" "$copy/store" "$copy/state.json" "$copy/answer.jsonl" >&2
    done
}

# one LABEL SEED: write the store, then what its last release says, on a copy.
one() {
    local label=$1 seed=$2 folder=$3 stages number=0 stage release python
    mapfile -t stages < <(stages_of "$label")
    mkdir -p "$folder"
    exec 2>"$folder/log"
    for stage in "${stages[@]}"; do
        number=$((number + 1)) release=${stage%%+*}
        python=$venvs/$release/bin/python
        if [[ $stage == *+killed ]]; then
            kills "$python" "$folder" "$label" "$seed"
            return
        fi
        local write=("$python" "$here/history.py" "$folder/store" "$folder/state.json" "$seed" "$number")
        [[ $stage != *+server ]] || write=("$python" "$here/server.py" "$folder/store" "$folder/server.log" "${write[@]}")
        STAGES=${stages[*]%%+*} "${write[@]}" >&2
        [[ $stage != *+vacuum ]] || vacuum "$release" "$folder/store" >&2
    done
    "$python" "$here/ask.py" "$folder/store" "$folder/state.json" "$folder/answer.jsonl" >&2
}

# What xargs starts.
if [[ ${1:-} == --one ]]; then
    label=$2 seed=$3 folder=$work/$2/$3
    # The store that is killed again and again is not one of those to compare.
    [[ $label != *+killed ]] || folder=$work-killed/$label/$seed
    trap '[[ $? -eq 0 ]] || { echo "$label/$seed failed:"; tail -n 15 "$folder/log"; }' EXIT
    one "$label" "$seed" "$folder"
    exit
fi

cargo build --quiet --manifest-path "$root/Cargo.toml" -p vector_migrate_core --example dump_store
failed=0
if [[ ${1:-} != --compare ]]; then
    for label in "${labels[@]}"; do rm -rf "${work:?}/$label" "$work-killed/$label"; done
    for label in "${labels[@]}"; do stages_of "$label"; done | sed 's/+.*//' | sort -u | xargs "$root/pgrx-tests/fixtures/generate.sh" --install
    for label in "${labels[@]}"; do
        for seed in "${seeds[@]}"; do printf '%s\0%s\0' "$label" "$seed"; done
    done | xargs -0 -n 2 -P "${JOBS:-2}" "$here/run.sh" --one || failed=1
fi
for label in "${labels[@]}"; do
    for folder in "$work/$label"/*/; do
        [[ -e $folder/answer.jsonl ]] || continue
        "$built/debug/examples/dump_store" "$folder/store" >"$folder/reader.jsonl" || echo "$folder: not read" >&2
    done
done
python3.11 "$here/compare.py" "$work" "${labels[@]}"
exit "$failed"
