#!/usr/bin/env bash
# Trains a model as the program does, from data to decision, and keeps what came of it: the scheduled pipeline, and the
# same by hand.
#
#   deploy/ml-pipeline.sh --out DIR [--data PATH] [--from BACKUP] [--conf NAME=VALUE]...
#
#   --out     folder for what is kept, made anew: run.json (the workflow run with every figure), model.json and
#             model.safetensors (the version that was trained), backup/ (the log, which can be served or given as --from),
#             serve.log
#   --data    data set to import, a folder or a zip that `projectionist import` reads; without it a simulated world
#   --from    backup of an earlier run: what its log knows is there, and its model is what the new one is held against
#   --conf    a setting of the run, such as algorithm=popularity
#
# PORT is where it listens on loopback, 28080 by default.
# Exit status: 0 if the version was promoted, 3 if the gate kept what serves since the version is worse, 1 where
# anything failed, 2 wrong use. What is there by then is kept in each case.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
out='' data='' from='' conf=() port=${PORT:-28080}
usage() { sed -n '5,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
	case $1 in
	--out) out=${2:?}; shift 2 ;;
	--data) data=${2:?}; shift 2 ;;
	--from) from=${2:?}; shift 2 ;;
	--conf) conf+=(--conf "${2:?}"); shift 2 ;;
	*) usage ;;
	esac
done
[ -n "$out" ] || usage
if [ -e "$out" ]; then echo "ml-pipeline: $out is there already: name a new folder" >&2; exit 2; fi
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit
work=$(mktemp -d) pid=''
trap '[ -z "$pid" ] || { kill $pid 2>/dev/null; wait $pid; }; rm -rf "$work"' EXIT
say() { echo "=== $*"; }
die() { echo "ml-pipeline: $*" >&2; exit 1; }

go build -o "$work/projectionist" . || die "it does not build"
p() { "$work/projectionist" --dir "$work/data" "$@"; }
if [ -n "$from" ]; then
	say "from $from"
	cp -a "$from" "$work/data" || die "$from cannot be copied"
fi

say "importing ${data:-what is there, or a simulated world}"
"$work/projectionist" --dir "$work/data" serve --listen "127.0.0.1:$port" ${data:+--data "$data"} >"$out/serve.log" 2>&1 </dev/null &
pid=$!
until grep -q ' ready: ' "$out/serve.log"; do # bounded by the process, which says why it waits
	kill -0 $pid 2>/dev/null || { cat "$out/serve.log"; die "it did not become ready"; }
	sleep 1
done
cat "$out/serve.log"

say "movie_training_pipeline"
p workflows run movie_training_pipeline --follow --json "${conf[@]}" >"$out/run.json" || { cat "$out/run.json"; die "the run failed"; }
task() { jq -er --arg task "$1" --arg key "$2" '.tasks[] | select(.task == $task) | .output[$key]' "$out/run.json"; }
model=$(task promote_model model) && version=$(task promote_model version) && promoted=$(task promote_model promoted) && reason=$(task promote_model reason) ||
	die "the run does not say what was decided: $out/run.json"
jq -r '.tasks[] | select(.task == "evaluate_trained_model") | .output | to_entries[] | select(.value | test("^-?[0-9.e-]+$")) | "  \(.key)\t\(.value)"' "$out/run.json"

say "keeping $model version $version, and the log"
p models show "$model" "$version" --json >"$out/model.json" || die "the version cannot be shown"
p models export "$model" "$version" "$out/model.safetensors" || die "the weights cannot be exported"
p backup --to "$out/backup" || die "the log cannot be backed up"
kill $pid
wait $pid || die "it did not end in good order"
pid=''

say "the gate: promoted=$promoted: $reason"
[ "$promoted" = true ] || { echo "ml-pipeline: $model version $version is worse, and was not promoted" >&2; exit 3; }
