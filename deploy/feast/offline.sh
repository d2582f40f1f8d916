#!/usr/bin/env bash
# Joins random histories by Feast's own offline store and, through Feast's unmodified client, by a program of its own (offline.py says how), and compares every
# value. It installs Feast from PyPI into a venv.
#
#   PROJECTIONIST_TEST_PORT   first of four ports, default 28990
#
# Exit status: 77 when Feast cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
client='feast[duckdb,grpcio]==0.67.0'
venv=${HOME:?}/.cache/projectionist/feast-joins
port=${PROJECTIONIST_TEST_PORT:-28990}
main=127.0.0.1:$port flight=127.0.0.1:$((port + 1)) online=127.0.0.1:$((port + 2)) registry=127.0.0.1:$((port + 3))
fail() { echo "FAILED: $*"; exit 1; }

if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "$client" >/dev/null || { echo "feast: cannot be had: $client from PyPI" >&2; exit 77; }
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
mkdir "$work/films"
{
	echo movieId,title,genres
	for i in $(seq 10); do echo "$i,Film $i (2000),Drama"; done
} >"$work/films/movies.csv"
printf 'userId,movieId,rating,timestamp\n1,10,4.0,1000000000\n' >"$work/films/ratings.csv"
env -u TMDB_API_KEY -u PROJECTIONIST_TOKEN -u PROJECTIONIST_USERS "$work/projectionist" serve --dir "$work/data" --data "$work/films" --mlflow-ui off --listen "$main" --listen-offline "$flight" --listen-features "$online" --listen-registry "$registry" >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	! curl -fs "http://$main/readyz" >/dev/null || break
	kill -0 $pid 2>/dev/null || { cat "$work/out"; fail "it is not ready"; }
	sleep .5
done
export FEAST_USAGE=False
"$venv/bin/python" -W ignore "$here/offline.py" "$main" "$flight" "$online" "$registry" "${1:-10}" 2>"$work/warnings" || { tail -20 "$work/warnings" "$work/out"; fail "the joins are not the same"; }
