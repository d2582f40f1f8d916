#!/usr/bin/env bash
# Tests MLflow's own web pages, unmodified, on this program: what its own client has logged, and what was trained here, is opened,
# filtered, compared and changed in a real browser, where no request may fail and no error stand in the console.
# It installs what is missing: mlflow from PyPI into a venv, playwright-core from npm, Debian's chromium and npm.
#
#   PROJECTIONIST_TEST_PORT   first of two ports, default 28960
#   PICTURES                  a folder to keep pictures of what was seen in
#
# Exit status: 77 when a part cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
home=${PROJECTIONIST_MLFLOW_HOME:-${HOME:?}/.cache/projectionist/mlflow}
port=${PROJECTIONIST_TEST_PORT:-28960}
main=127.0.0.1:$port tracking=127.0.0.1:$((port + 1))
cannot() { echo "mlflow pages: cannot be had: $*" >&2; exit 77; }
fail() { echo "FAILED: $*"; exit 1; }

for tool in chromium:chromium npm:npm; do
	command -v "${tool%:*}" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${tool#*:}"; } >/dev/null 2>&1 ||
		cannot "Debian's package ${tool#*:}"
done
venv=$home/venv-3.17.2
if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q mlflow==3.17.2 >/dev/null || cannot "mlflow from PyPI"
	touch "$venv/.complete"
fi
browser=$home/playwright-1.65.1
if ! [ -f "$browser/.complete" ]; then
	rm -rf "$browser"
	mkdir -p "$browser" && npm install --silent --no-audit --no-fund --prefix "$browser" playwright-core@1.65.1 >/dev/null || cannot "playwright-core from npm"
	touch "$browser/.complete"
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
# Where the pages are, the program asks the python3 on the PATH.
PATH=$venv/bin:$PATH "$work/projectionist" serve --dir "$work/data" --simulate users=200,movies=200,events=12000 --listen "$main" --listen-tracking "$tracking" >"$work/out" 2>&1 &
pid=$!
trained() { curl -fs "http://$tracking/api/2.0/mlflow/model-versions/get?name=als&version=1" | grep -q Production && curl -fs "http://$tracking/" | grep -q static-files; }
for _ in $(seq 1200); do
	! trained || break
	kill -0 $pid 2>/dev/null || break
	sleep .5
done
trained || { cat "$work/out"; fail "nothing is trained, or / is not MLflow's page"; }

"$venv/bin/python" "$here/pages.py" "http://$tracking" >"$work/ids" 2>"$work/client" || { tail -30 "$work/client"; fail "MLflow's client"; }
tail -1 "$work/ids" >"$work/ids.json"
CHROMIUM=$(command -v chromium) NODE_PATH=$browser/node_modules node "$here/pages.js" "http://$tracking" "$work/ids.json" ${PICTURES:+"$PICTURES"} || fail "pages"
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made by pages is not folded the same again"; }
