#!/usr/bin/env bash
# Has a task of a workflow run a Python script with MLflow's unmodified client in it, the newest and the last of 2.x: the run that it logs is
# found from the task, and the task from the run. Then the server is killed (-9) while the script runs: the script dies with it, and the task
# is tried again, alone. Then a command prints a gigabyte. It installs the clients from PyPI into venvs.
#
#   PROJECTIONIST_TEST_PORT   first of three ports, default 28990
#
# Exit status: 77 when a client cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
home=${PROJECTIONIST_MLFLOW_HOME:-${HOME:?}/.cache/projectionist/mlflow}
port=${PROJECTIONIST_TEST_PORT:-28990}
main=127.0.0.1:$port tracking=127.0.0.1:$((port + 1)) workflows=127.0.0.1:$((port + 2))
checked=0
fail() { echo "FAILED: $*"; tail -20 "$work/out"; exit 1; }
ok() { checked=$((checked + 1)); echo "ok $*"; }

versions=(3.17.2 2.22.5)
for version in "${versions[@]}"; do
	venv=$home/venv-$version
	[ -f "$venv/.complete" ] && continue
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "mlflow==$version" >/dev/null || { echo "commands with MLflow: cannot be had: mlflow $version from PyPI" >&2; exit 77; }
	touch "$venv/.complete"
done

work=$(mktemp -d)
pid=
cleanup() {
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

pj() { "$work/projectionist" "$@" --server "http://$main"; }
serve() { # serve MORE...
	PROJECTIONIST_SECRETS=$work/secrets "$work/projectionist" serve --dir "$work/data" --simulate users=20,movies=40,events=400 --mlflow-ui off \
		--listen "$main" --listen-tracking "$tracking" --listen-workflows "$workflows" --listen-inference off --listen-features off --listen-topics off "$@" >"$work/out" 2>&1 &
	pid=$!
	for _ in $(seq 1200); do
		! curl -fs "http://$main/readyz" >/dev/null || return 0
		kill -0 $pid 2>/dev/null || break
		sleep .5
	done
	fail "it is not ready"
}
field() { python3 -c 'import json,sys; v=json.load(sys.stdin)
for k in sys.argv[1:]: v=v[int(k)] if isinstance(v,list) else v[k]
print(v)' "$@"; }
ended() { # ended RUN: its state, when it has one
	local state
	for _ in $(seq 3000); do
		state=$(curl -fs "http://$main/api/v1/workflows/runs/$1" | field state)
		case $state in success | failed | cancelled) echo "$state"; return ;; esac
		sleep .2
	done
	echo "$state"
}
task() { curl -fs "http://$main/api/v1/workflows/runs/$1" | field tasks 0 "${@:2}"; }

go build -o "$work/projectionist" . || { echo "FAILED: it does not build"; exit 1; }
mkdir "$work/secrets" && printf 'hunter2-hunter2\n' >"$work/secrets/api-key"
for version in "${versions[@]}"; do
	cat >"$work/lines-${version//./_}.yaml" <<YAML
name: lines-${version//./_}
params: [{name: rate, type: number, default: 0.1}, {name: hold, default: ""}]
tasks:
  - name: fit
    operator: command
    retry_delay: 1s
    with:
      command: exec $home/venv-$version/bin/python $here/train.py
      env: {RATE: "{{ params.rate }}", HOLD: "{{ params.hold }}", PIDS: $work/pids, KEY: "{{ secret.api-key }}", MLFLOW_EXPERIMENT_NAME: lines}
YAML
done
cat >"$work/printing.yaml" <<'YAML'
name: printing
tasks:
  - {name: print, operator: command, with: {command: "head -c 1000000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo the end"}}
YAML

serve
! pj workflows apply "$work/printing.yaml" >"$work/said" 2>&1 && grep -q -- --allow-commands "$work/said" || { cat "$work/said"; fail "commands are on without being allowed"; }
ok "commands are off: apply says how they are turned on"
kill $pid && wait $pid 2>/dev/null
serve --allow-commands
for f in "$work"/*.yaml; do pj workflows apply "$f" >/dev/null || fail "apply $f"; done

for version in "${versions[@]}"; do
	name=lines-${version//./_}
	run=$(pj workflows run "$name" --conf rate=0.2) || fail "a run of $name"
	[ "$(ended "$run")" = success ] || { pj workflows logs "$run" fit; fail "the run of $name"; }
	logged=$(task "$run" output run_id)
	[ "$(task "$run" output mlflow_runs)" = "$logged" ] || fail "the task does not name the run that it logged"
	curl -fs "http://$tracking/api/2.0/mlflow/runs/get?run_id=$logged" >"$work/run" || fail "no run $logged"
	python3 - "$work/run" "$run" "$name" <<'PY' || fail "what MLflow's client logged"
import json, sys
run = json.load(open(sys.argv[1]))["run"]
tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
assert tags["projectionist.workflow_run"] == sys.argv[2] and tags["projectionist.task"] == "fit" and tags["projectionist.try"] == "1", tags
assert tags["mlflow.source.name"] == sys.argv[3] and tags["mlflow.source.type"] == "JOB", tags
assert run["info"]["status"] == "FINISHED" and run["data"]["params"] == [{"key": "rate", "value": "0.2"}], run
assert run["data"]["metrics"][0]["key"] == "loss" and run["data"]["metrics"][0]["step"] == 49, run["data"]["metrics"]
PY
	pj lineage --help >/dev/null 2>&1 && { curl -fs "http://$main/api/v1/lineage?node=run/$logged&direction=upstream" | grep -q "workflow-run/$run" || fail "the lineage of run $logged does not lead to its task"; }
	pj workflows logs "$run" fit >"$work/log" || fail "its log"
	grep -q " INFO  mlflow $version at http://$tracking" "$work/log" && grep -q " WARN  the slope is near 3" "$work/log" && grep -q "the key is \*\*\*" "$work/log" || { cat "$work/log"; fail "what the script printed"; }
	curl -fs "http://$workflows/api/v1/dags/$name/dagRuns/$run/taskInstances/fit/logs/1" | cmp -s - "$work/log" || fail "Airflow's clients see another log"
	ok "mlflow $version logs as a task: run from task, task from run, its log, its secret masked"
done

: >"$work/pids"
run=$(pj workflows run lines-3_17_2 --conf hold="$work/go") || fail "a run to be killed"
timeout 600 "$work/projectionist" workflows logs "$run" fit --follow --server "http://$main" >"$work/followed" 2>/dev/null &
follower=$!
for _ in $(seq 3000); do [ -s "$work/pids" ] && grep -q held "$work/followed" && break; sleep .1; done
grep -q held "$work/followed" || fail "the log is not followed while the script runs"
child=$(cut -d' ' -f1 "$work/pids" | tail -1)
kill -9 $pid && wait $pid 2>/dev/null
wait $follower 2>/dev/null
for _ in $(seq 600); do kill -0 "$child" 2>/dev/null || break; sleep .1; done
! kill -0 "$child" 2>/dev/null || fail "the script $child outlives the server that was killed"
ok "the script dies with the server that is killed"
serve --allow-commands
for _ in $(seq 3000); do [ "$(wc -l <"$work/pids")" = 2 ] && break; sleep .1; done
[ "$(cut -d' ' -f1 "$work/pids" | paste -sd, | xargs ps -o pid= -p | wc -l)" = 1 ] || fail "not one script runs after the restart"
touch "$work/go"
[ "$(ended "$run")" = success ] || fail "the run does not go on after the kill"
[ "$(cut -d' ' -f2 "$work/pids" | tr '\n' ' ')" = "1 2 " ] || fail "the tries are $(cat "$work/pids")"
pj workflows logs "$run" fit --try 1 >"$work/log" && grep -q held "$work/log" && grep -q "the process that worked on it is gone" "$work/log" || fail "the log of the try that was cut off"
ok "the task is tried again, alone; the log of the first try has what it said"

before=$(du -sk "$work/data" | cut -f1)
run=$(pj workflows run printing) || fail "a run that prints"
most=0
while :; do
	state=$(curl -fs "http://$main/api/v1/workflows/runs/$run" | field state)
	rss=$(awk '/VmRSS/ {print int($2/1024)}' /proc/$pid/status 2>/dev/null || echo 0)
	[ "$rss" -le "$most" ] || most=$rss
	case $state in success | failed) break ;; esac
	sleep .5
done
after=$(du -sk "$work/data" | cut -f1)
[ "$state" = success ] || fail "the command that prints a gigabyte"
[ $((after - before)) -lt 20000 ] || fail "the data folder grew by $((after - before)) KiB"
pj workflows logs "$run" print >"$work/log"
tail -10 "$work/log" | grep -q "the end" && grep -q "lines are left out here" "$work/log" || fail "the log of a gigabyte"
ok "a gigabyte is printed: $(($(wc -c <"$work/log") / 1024)) KiB of log, the folder grew by $((after - before)) KiB, $most MiB of memory at most"
pj verify >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }
ok "all is folded the same again"
echo "$checked of 7 hold"
