#!/usr/bin/env bash
# The same bytes everywhere: a study and two evaluations at several thread counts, with every choice of instructions, and on emulated CPUs.
#
#   scripts/same-bytes.sh             compares everything; exit code 1 where a byte differs
#   scripts/same-bytes.sh --digest    writes the digest that CI checks (scripts/orders-quick.sha256), from `study orders --quick`
#   scripts/same-bytes.sh --check     holds `study orders --quick` on this machine to that digest
#
# What may differ is `provenance` alone: the command, the CPU's features. Emulation is slow, so there the problem is small.
set -euo pipefail
cd "$(dirname "$0")/.."

DIGEST=scripts/orders-quick.sha256
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

cargo build --release --quiet
PROGRAM=$(pwd)/target/release/interplay

digest() {
    "$PROGRAM" study orders --quick --restart --out "$WORK/digest" >/dev/null
    (cd "$WORK/digest" && sha256sum data.csv)
}

case "${1:-}" in
    --digest) digest >"$DIGEST"; cat "$DIGEST"; exit 0 ;;
    --check)
        if [ "$(digest)" = "$(cat "$DIGEST")" ]; then echo "data.csv of orders --quick is the committed one"; exit 0; fi
        echo "data.csv of \`study orders --quick\` is not the one of $DIGEST: either results moved on purpose" >&2
        echo "(then run scripts/same-bytes.sh --digest and commit it), or this machine gives other bits" >&2
        exit 1
        ;;
    "") ;;
    *) echo "unknown option $1: give none, --digest or --check" >&2; exit 2 ;;
esac

# produce FOLDER SIZE OPTIONS...: the whole of a run in one folder, behind the command in `RUN` (an emulator), if any.
produce() {
    local folder=$1 size=$2
    shift 2
    mkdir -p "$folder"
    local windows=1 images=4 formats=(--formats fp32,mxfp4) study=(--set windows=1 --set images=4)
    if [ "$size" = whole ]; then windows=4 images=40 formats=() study=(); fi
    ${RUN[@]+"${RUN[@]}"} "$PROGRAM" study orders --quick ${formats[@]+"${formats[@]}"} ${study[@]+"${study[@]}"} --restart \
        --out "$folder/orders" "$@" >/dev/null 2>&1
    # The machine that ran is in these; results.jsonl says so under `provenance`, which is cut out below.
    rm -rf "$folder/orders/run.json" "$folder/orders/.cells"
    ${RUN[@]+"${RUN[@]}"} "$PROGRAM" eval --model lm --windows "$windows" --format hbfp6 --sparsity 2:4 --order sq --json "$@" \
        >"$folder/lm.json"
    ${RUN[@]+"${RUN[@]}"} "$PROGRAM" eval --model vit --windows "$images" --format mxfp8 --datapath fake --json "$@" \
        >"$folder/vit.json"
    python3 - "$folder" <<'PYTHON'
import json, pathlib, sys

folder = pathlib.Path(sys.argv[1])

def cut(value):
    if isinstance(value, dict):
        return {key: cut(inner) for key, inner in value.items() if key != "provenance"}
    return value

for path in [folder / "lm.json", folder / "vit.json"]:
    path.write_text(json.dumps(cut(json.loads(path.read_text())), indent=1))
for path in folder.glob("orders/results.jsonl"):
    lines = [json.dumps(cut(json.loads(line))) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
PYTHON
}

failures=0
# compare NAME REFERENCE FOLDER
compare() {
    if diff -rq "$2" "$3" >"$WORK/diff"; then
        echo "same bytes: $1"
    else
        echo "OTHER BYTES: $1" >&2
        cat "$WORK/diff" >&2
        failures=$((failures + 1))
    fi
    rm -rf "$3"
}

RUN=()
for size in whole small; do
    produce "$WORK/$size" "$size" --threads 1
done
for threads in 2 3 8; do
    produce "$WORK/run" whole --threads "$threads"
    compare "$threads threads against 1" "$WORK/whole" "$WORK/run"
done
for simd in avx512 avx2 scalar; do
    if ! "$PROGRAM" list formats --simd "$simd" >/dev/null 2>&1; then
        echo "skipped: this CPU has no $simd"
        continue
    fi
    produce "$WORK/run" small --simd "$simd"
    compare "--simd $simd" "$WORK/small" "$WORK/run"
done

if ! command -v qemu-x86_64 >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user; } >/dev/null || true
fi
if command -v qemu-x86_64 >/dev/null; then
    for cpu in Haswell Nehalem; do
        RUN=(qemu-x86_64 -cpu "$cpu")
        produce "$WORK/run" small
        compare "qemu-x86_64 -cpu $cpu" "$WORK/small" "$WORK/run"
    done
else
    echo "skipped: no qemu-x86_64 here, so no other CPU was tried (Debian: apt-get install qemu-user, as root)"
fi

exit $((failures > 0))
