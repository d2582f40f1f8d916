#!/usr/bin/env bash
# Compares searches of MLflow's API with those of MLflow's own server on its SQL store, on the same random data: filters.py says
# how. It installs MLflow into a venv where it is missing, and ends what it has started.
#
#   deploy/mlflow/filters.sh [SEED...]       by default 1 to 3
#
# Environment: PROJECTIONIST_BIN: the program, built where it is not given; PORT: the first of two ports, 5731 by default.
# Exit status: 77 when MLflow cannot be had here, 1 when a search differs.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=3.17.2
venv=${HOME:?}/.cache/projectionist/bench-mlflow
cannot() { echo "mlflow filters: cannot be had: $*" >&2; exit 77; }

if ! "$venv/bin/python" -c "import importlib.metadata, sys; sys.exit(importlib.metadata.version('mlflow') != '$version')" 2>/dev/null; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "mlflow==$version" >/dev/null || cannot "mlflow $version from PyPI"
fi
tmp=$(mktemp -d)
pids=()
ended() {
	for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM -- "-$pid" 2>/dev/null; done
	wait
	rm -rf "$tmp"
}
trap ended EXIT
bin=${PROJECTIONIST_BIN:-}
if [ -z "$bin" ]; then
	bin=$tmp/projectionist
	(cd "$here/../.." && CGO_ENABLED=0 go build -o "$bin" .) || exit 1
fi
port=${PORT:-5731}
real=http://127.0.0.1:$port ours=http://127.0.0.1:$((port + 1))
set -m # each in a group of its own, which ends with it
(cd "$tmp" && exec "$venv/bin/python" -m mlflow server --backend-store-uri "sqlite:///$tmp/mlflow.db" --artifacts-destination "$tmp/artifacts" --host 127.0.0.1 --port "$port" --workers 1) >"$tmp/real.log" 2>&1 &
pids+=($!)
(cd "$tmp" && exec "$bin" serve --dir "$tmp/data" --listen 127.0.0.1:0 --listen-tracking "127.0.0.1:$((port + 1))" --simulate users=20,movies=20,events=200) >"$tmp/ours.log" 2>&1 &
pids+=($!)
set +m
for url in $real $ours; do
	for _ in $(seq 1200); do
		curl -fs "$url/health" >/dev/null && continue 2
		sleep .5
	done
	tail -20 "$tmp"/*.log >&2
	echo "mlflow filters: $url does not answer" >&2
	exit 1
done
status=0
[ $# -gt 0 ] || set -- 1 2 3
for seed in "$@"; do
	timeout 900 "$venv/bin/python" "$here/filters.py" "$real" "$ours" --seed "$seed" --searches "${SEARCHES:-60}" || status=1
done
exit $status
