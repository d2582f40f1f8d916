#!/usr/bin/env bash
# Has MLflow's own client, the newest and the last of 2.x, do each thing that its documentation shows, on a program of its own (clients.py says
# what), and then has the views folded again and compared. It installs both clients from PyPI into venvs.
#
#   PROJECTIONIST_TEST_PORT   first of two ports, default 28970
#   PROJECTIONIST_LOG         kafka://HOST:PORT for the session with the log there
#
# Exit status: 77 when a client cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
home=${PROJECTIONIST_MLFLOW_HOME:-${HOME:?}/.cache/projectionist/mlflow}
port=${PROJECTIONIST_TEST_PORT:-28970}
main=127.0.0.1:$port tracking=127.0.0.1:$((port + 1))
fail() { echo "FAILED: $*"; exit 1; }

versions=(3.17.2 2.22.5)
for version in "${versions[@]}"; do
	venv=$home/venv-$version
	[ -f "$venv/.complete" ] && continue
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "mlflow==$version" >/dev/null || { echo "mlflow clients: cannot be had: mlflow $version from PyPI" >&2; exit 77; }
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

go build -o "$work/projectionist" . || fail "it does not build"
"$work/projectionist" serve --dir "$work/data" --simulate users=20,movies=40,events=400 --mlflow-ui off --listen "$main" --listen-tracking "$tracking" >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	! curl -fs "http://$main/readyz" >/dev/null || break
	kill -0 $pid 2>/dev/null || break
	sleep .5
done
curl -fs "http://$main/readyz" >/dev/null || { cat "$work/out"; fail "it is not ready"; }

status=0
for version in "${versions[@]}"; do
	"$home/venv-$version/bin/python" "$here/clients.py" "http://$tracking" >"$work/said" 2>"$work/trace" || { cat "$work/trace"; status=1; }
	grep -E '^(ok|-|FAILED|mlflow) ' "$work/said"
done
[ $status = 0 ] || fail "an operation of MLflow's client"
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }
