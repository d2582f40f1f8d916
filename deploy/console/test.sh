#!/usr/bin/env bash
# Tests the web console in a real browser, on a server with a simulated world and on one that wants a token and has nothing: what it
# shows, by keys alone, live, as of moments, in two languages and themes, and on hostile names. Its types are checked, and lib/ beside
# what the registry has. It installs what is missing: packages of npm at fixed versions, Debian's chromium, npm and Korean fonts.
#
#   PROJECTIONIST_TEST_PORT   first of four ports, default 28970
#   PICTURES                  a folder to keep pictures of all pages in, in both themes and in a narrow window
#   ONLY                      a part of the names of the checks that are wanted, or several with | between
#   PROGRAM                   the program, where it is built already
#
# Exit status: 77 when a part cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
home=${PROJECTIONIST_CONSOLE_HOME:-${HOME:?}/.cache/projectionist/console}
port=${PROJECTIONIST_TEST_PORT:-28970}
main=127.0.0.1:$port tracking=127.0.0.1:$((port + 1)) locked=127.0.0.1:$((port + 2)) halted=127.0.0.1:$((port + 3))
cannot() { echo "console: cannot be had: $*" >&2; exit 77; }
fail() { echo "FAILED: $*"; exit 1; }

for tool in chromium:chromium npm:npm fc-list:fontconfig; do
	command -v "${tool%:*}" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${tool#*:}"; } >/dev/null 2>&1 ||
		cannot "Debian's package ${tool#*:}"
done
fc-list | grep -qi cjk || apt-get install -y -qq --no-install-recommends fonts-noto-cjk >/dev/null 2>&1 || cannot "Debian's package fonts-noto-cjk"
tools=$home/tools-1
if ! [ -f "$tools/.complete" ]; then
	rm -rf "$tools"
	mkdir -p "$tools" && npm install --silent --no-audit --no-fund --prefix "$tools" playwright-core@1.65.1 axe-core@4.14.1 typescript@7.0.2 >/dev/null || cannot "packages from npm"
	touch "$tools/.complete"
fi

work=$(mktemp -d)
pids=()
cleanup() {
	local all=("${pids[@]}" $(cat "$work"/pid-* 2>/dev/null)) pid n
	for pid in "${all[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${all[@]}"; do # one of them is no child of this shell
		for n in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep .1; done
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What is kept in lib/ is what was published.
for at in preact=preact@11.2.0 signals=@preact/signals@2.11.4 signals-core=@preact/signals-core@1.14.5 uplot=uplot@1.6.32 dagre=@dagrejs/dagre@3.1.3; do
	mkdir -p "$work/lib/${at%%=*}"
	tarball=$(cd "$work/lib" && npm pack --silent "${at#*=}") || cannot "${at#*=} from npm"
	tar -xzf "$work/lib/$tarball" -C "$work/lib/${at%%=*}" --strip-components 1
	(cd "api/console/lib/${at%%=*}" && find . -type f -print0 | while IFS= read -r -d '' f; do cmp -s "$f" "$work/lib/${at%%=*}/$f" || { echo "lib/${at%%=*}/$f is not what ${at#*=} has"; exit 1; }; done) || fail "lib/"
done
"$tools/node_modules/.bin/tsc" --noEmit -p api/console || fail "types"

if [ -n "${PROGRAM:-}" ]; then cp "$PROGRAM" "$work/projectionist"; else go build -o "$work/projectionist" .; fi || fail "it does not build"
off=(--listen-inference off --listen-workflows off --listen-features off --listen-registry off --listen-offline off --listen-topics off)
cat >"$work/serve" <<END
#!/bin/sh
"$work/projectionist" serve --dir "$work/data" --simulate users=120,movies=150,events=6000 --listen $main --listen-tracking $tracking ${off[*]} >>"$work/out" 2>&1 &
echo \$! >"$work/pid-main"
END
chmod +x "$work/serve" && "$work/serve"
# What the check of halted views starts: a server whose log has a commit that another program wrote.
cat >"$work/halt" <<END
#!/bin/sh
set -e
begin() { "$work/projectionist" serve --dir "$work/halted" --simulate users=30,movies=30,events=600 --listen $halted --listen-tracking off ${off[*]} >>"$work/out-halted" 2>&1 & echo \$! >"$work/pid-halted"; }
begin
for i in \$(seq 1500); do curl -fs "http://$halted/api/v1/deployments/production" >/dev/null && break; sleep .2; done
kill "\$(cat "$work/pid-halted")"
while kill -0 "\$(cat "$work/pid-halted")" 2>/dev/null; do sleep .1; done
PROJECTIONIST_FOREIGN="$work/halted/log model/als" go test -count=1 -run TestAppendForeign -v ./streams/local
begin
END
chmod +x "$work/halt"
PROJECTIONIST_TOKEN=sesame "$work/projectionist" serve --dir "$work/empty" --simulate off --listen "$locked" --listen-tracking off "${off[@]}" >"$work/out-locked" 2>&1 &
pids+=($!)
trained() { curl -fs "http://$main/readyz" >/dev/null && curl -fs "http://$main/api/v1/deployments/production" >/dev/null; }
for _ in $(seq 600); do
	! trained || break
	kill -0 "$(cat "$work/pid-main")" 2>/dev/null || break
	sleep .5
done
trained || { tail -30 "$work/out"; fail "nothing is trained"; }
kill -0 "$(cat "$work/pid-main")" 2>/dev/null || { tail -5 "$work/out"; fail "another server answers at $main"; }

CHROMIUM=$(command -v chromium) NODE_PATH=$tools/node_modules WORK=$work node "$here/test.js" "http://$main" "http://$tracking" "http://$locked" "http://$halted" ${PICTURES:+"$PICTURES"} || fail "the console"
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made here is not folded the same again"; }
