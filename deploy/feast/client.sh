#!/usr/bin/env bash
# Has Feast's own command line and SDK, unmodified, work against a program of its own (client.py says what), in the repository that
# `projectionist feast init` writes, and has the views folded again and compared. It installs Feast from PyPI into a venv.
#
#   PROJECTIONIST_TEST_PORT   first of four ports, default 28960
#   PROJECTIONIST_FEAST       the release, default 0.67.0
#
# Exit status: 77 when Feast cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
release=${PROJECTIONIST_FEAST:-0.67.0}
venv=${PROJECTIONIST_FEAST_HOME:-${HOME:?}/.cache/projectionist/feast}/venv-$release
port=${PROJECTIONIST_TEST_PORT:-28960}
main=127.0.0.1:$port online=127.0.0.1:$((port + 1)) registry=127.0.0.1:$((port + 2)) offline=127.0.0.1:$((port + 3))
fail() { echo "FAILED: $*"; exit 1; }

if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "feast[grpcio]==$release" >/dev/null || { echo "feast: cannot be had: feast[grpcio] $release from PyPI" >&2; exit 77; }
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
also=()
if "$work/projectionist" serve --help | grep -q -- --listen-offline; then also=(--listen-offline "$offline"); fi
"$work/projectionist" serve --dir "$work/data" --simulate users=20,movies=40,events=400 --mlflow-ui off --kafka off --listen "$main" --listen-features "$online" --listen-registry "$registry" \
	"${also[@]}" >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	! curl -fs "http://$main/readyz" >/dev/null || break
	kill -0 $pid 2>/dev/null || break
	sleep .5
done
curl -fs "http://$main/readyz" >/dev/null || { cat "$work/out"; fail "it is not ready"; }
"$work/projectionist" feast init "$work/films" --dir "$work/data" >/dev/null || fail "no repository was written"
# A program without Feast's offline store: joins are not what is tried here.
[ ${#also[@]} -gt 0 ] || sed -i '/^offline_store:/,/^  port:/c offline_store: {type: dask}' "$work/films/feature_store.yaml"

"$venv/bin/python" "$here/client.py" "$work/films" "http://$online" "http://$main" 2>"$work/trace" || { cat "$work/trace" "$work/out"; fail "an operation of Feast's client"; }
(cd "$work/films" && "$venv/bin/python" guide.py 2>/dev/null) || fail "the guide's session"
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }
