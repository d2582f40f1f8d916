#!/usr/bin/env bash
# Has Airflow's own client of version 2 do every operation of the stable REST API v1 on a program of its own, without changing the client
# (client2.py says what), kills the program and looks again, and then has the views folded anew and compared. It installs the client from PyPI into a venv.
#
#   PROJECTIONIST_TEST_PORT   first of two ports, default 28980
#
# Exit status: 77 when the client cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
client=apache-airflow-client==2.10.0
venv=${HOME:?}/.cache/projectionist/airflow-client2
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

go build -o "$work/projectionist" . || fail "it does not build"
export PROJECTIONIST_USERS=admin:secret
start() {
	env -u TMDB_API_KEY "$work/projectionist" serve --dir "$work/data" "$@" --mlflow-ui off --listen "$main" --listen-workflows "$workflows" >"$work/out" 2>&1 &
	pid=$!
	for _ in $(seq 1200); do
		! curl -fs -u admin:secret "http://$main/readyz" >/dev/null || return 0
		kill -0 $pid 2>/dev/null || break
		sleep .5
	done
	cat "$work/out"
	fail "it is not ready"
}
start --simulate users=20,movies=40,events=400
"$work/projectionist" workflows apply "$here/client2.yaml" --server "http://$main" >/dev/null || fail "the workflow is not taken"
"$venv/bin/python" "$here/client2.py" "http://$workflows/api/v1" admin secret || { tail -20 "$work/out"; fail "an operation of Airflow's client"; }
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
"$venv/bin/python" "$here/client2.py" "http://$workflows/api/v1" admin secret after || fail "what was done is not there after a crash"
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }
