#!/usr/bin/env bash
# Has Airflow 3's own client, unmodified, do each operation that it has on a program of its own (client3.py says what), then kills the
# program while it waits (client3_killed.py), and has the views folded again and compared. It installs the client from PyPI into a venv.
#
#   PROJECTIONIST_TEST_PORT   first of two ports, default 28980
#
# Exit status: 77 when the client cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
client=apache-airflow-client==3.3.2
venv=${PROJECTIONIST_AIRFLOW_HOME:-${HOME:?}/.cache/projectionist/airflow}/venv-${client#*==}
port=${PROJECTIONIST_TEST_PORT:-28980}
main=127.0.0.1:$port workflows=127.0.0.1:$((port + 1))
fail() { echo "FAILED: $*"; exit 1; }

if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "$client" >/dev/null || { echo "airflow client: cannot be had: $client from PyPI" >&2; exit 77; }
	touch "$venv/.complete"
fi

work=$(mktemp -d)
pid=
cleanup() {
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

cat >"$work/quick.yaml" <<'YAML'
name: quick
description: Two tasks that take no time
tags: [clients]
params:
  - {name: sleep, type: whole, default: 0, minimum: 0, maximum: 60}
tasks:
  - {name: first, operator: watch_log}
  - {name: second, operator: dataset, needs: [first]}
YAML

cat >"$work/daily.yaml" <<'YAML'
name: daily
description: One task for each day
schedule: '@daily'
params:
  - {name: sleep, type: whole, default: 0, minimum: 0, maximum: 60}
tasks:
  - {name: only, operator: watch_log}
YAML

export TMDB_API_KEY= # for a workflow that fails
go build -o "$work/projectionist" . || fail "it does not build"
serve=("$work/projectionist" serve --dir "$work/data" --simulate users=20,movies=40,events=400 --mlflow-ui off --kafka off --listen "$main" --listen-workflows "$workflows")
"${serve[@]}" >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	! curl -fs "http://$main/readyz" >/dev/null || break
	kill -0 $pid 2>/dev/null || break
	sleep .5
done
curl -fs "http://$main/readyz" >/dev/null || { cat "$work/out"; fail "it is not ready"; }
sed 's/^name: quick/name: passing/' "$work/quick.yaml" >"$work/passing.yaml" # which is deleted
for name in quick passing daily; do
	"$work/projectionist" workflows apply "$work/$name.yaml" --server "http://$main" >/dev/null || fail "the workflow is not taken"
done

"$venv/bin/python" "$here/client3.py" "http://$workflows" 2>"$work/trace" || { cat "$work/trace" "$work/out"; fail "an operation of Airflow's client"; }
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }
kill $pid
wait $pid
pid=
"$venv/bin/python" "$here/client3_killed.py" "http://$workflows" "http://$main/readyz" "${serve[@]}" || fail "a run was lost, or made twice"
