#!/usr/bin/env bash
# Tests blobs in a bucket (serve --blobs s3://…) on a real server of the S3 API, VersityGW, which the Go proxy has: the bucket's own
# tests, and then a program that loses its folder of blobs, is killed as a file comes in, and meets a server that is away.
#
#   PROJECTIONIST_TEST_PORT   first of three ports, default 28960
#
# Exit status: 77 when the server cannot be had here, else 0 or 1.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
gateway=github.com/versity/versitygw/cmd/versitygw@v1.8.0
port=${PROJECTIONIST_TEST_PORT:-28960}
s3=127.0.0.1:$port main=127.0.0.1:$((port + 1)) tracking=127.0.0.1:$((port + 2))
say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; [ ! -f "${work:-}/out" ] || tail -20 "$work/out"; exit 1; }

bin=${HOME:?}/.cache/projectionist/s3/${gateway##*@}
[ -x "$bin/versitygw" ] || GOBIN=$bin go install "$gateway" || { say "S3: cannot be had: $gateway" >&2; exit 77; }

work=$(mktemp -d)
server='' program=''
cleanup() {
	for pid in $server $program; do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
until_ok() { # until_ok SECONDS COMMAND...
	local end=$((SECONDS + $1)); shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep .2
	done
}

export AWS_ACCESS_KEY_ID=projectionist AWS_SECRET_ACCESS_KEY=of-the-tests
mkdir -p "$work/bucket/films"
serve_bucket() {
	ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY "$bin/versitygw" --port "$s3" posix "$work/bucket" >"$work/gateway" 2>&1 &
	server=$!
	until_ok 300 curl -s "http://$s3/" || fail "the server of the bucket does not answer: $(tail -3 "$work/gateway")"
}
serve_bucket
PROJECTIONIST_TEST_S3="s3://films/tests?endpoint=http://$s3" go test -count=1 -v ./internal/blob/s3 | grep -vE '^(=== |PASS$)' || true
[ "${PIPESTATUS[0]}" = 0 ] || fail "the bucket's own tests"

go build -o "$work/projectionist" . || fail "it does not build"
start() {
	"$work/projectionist" serve --dir "$work/data" --listen "$main" --listen-tracking "$tracking" --simulate users=20,movies=40,events=400 \
		--blobs "s3://films/blobs?endpoint=http://$s3" >>"$work/out" 2>&1 &
	program=$!
	until_ok "${1:-300}" curl -fs "http://$main/readyz" || fail "it is not ready"
}
stop() { kill "-$1" $program; wait $program 2>/dev/null; program=''; }
api=http://$tracking/api/2.0/mlflow
files=http://$tracking/api/2.0/mlflow-artifacts/artifacts
field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' | head -1; }
put() { curl -sS -o "$work/answer" -w '%{http_code}' -T "$1" "$2"; }

start
experiment=$(curl -fsS -H 'Content-Type: application/json' -d '{"name":"of the bucket"}' "$api/experiments/create" | field experiment_id)
run=$(curl -fsS -H 'Content-Type: application/json' -d '{"experiment_id":"'"$experiment"'"}' "$api/runs/create" | field run_id)
[ -n "$run" ] || fail "no run was made"
at=$files/$experiment/$run/artifacts
head -c 40000000 /dev/urandom >"$work/large"
[ "$(put "$work/large" "$at/large.bin")" = 200 ] || fail "a file was not taken: $(cat "$work/answer")"

say "the folder of blobs is lost, with what trains by"
stop KILL
rm -rf "$work/data/blobs"
start
curl -fsS "$at/large.bin" | cmp - "$work/large" || fail "what came from the bucket is another file"
curl -fsS "http://$main/api/v1/recommendations?user_id=1&k=3" | grep -q '"title"' || fail "the weights did not come from the bucket"

say "killed as files come in: what was acknowledged is there, from the bucket alone"
acknowledged=()
for i in $(seq 12); do
	head -c 3000000 /dev/urandom >"$work/f$i"
	(sleep "0.$((RANDOM % 10))"; kill -KILL $program) 2>/dev/null &
	killer=$!
	for j in 1 2 3; do
		[ "$(put "$work/f$i" "$at/f$i.$j" 2>/dev/null)" = 200 ] && acknowledged+=("f$i.$j")
	done
	wait $killer $program 2>/dev/null
	rm -rf "$work/data/blobs"
	start
done
for f in "${acknowledged[@]}"; do
	curl -fsS "$at/$f" | cmp - "$work/${f%.*}" || fail "$f was acknowledged, and is not there"
done
say "${#acknowledged[@]} files acknowledged, all there"
curl -fsS "$at/large.bin" | cmp - "$work/large" || fail "what came from the bucket is another file"

say "the bucket is away: nothing is taken, what is here is given, and the program starts"
kill $server; wait $server 2>/dev/null; server=''
[ "$(put "$work/f1" "$at/refused.bin")" = 503 ] || fail "a file was taken without the bucket: $(cat "$work/answer")"
grep -q TEMPORARILY_UNAVAILABLE "$work/answer" || fail "the refusal is another: $(cat "$work/answer")"
curl -fsS "$at/large.bin" | cmp - "$work/large" || fail "what is here is not given"
stop TERM
start
[ "$(curl -s -o /dev/null -w '%{http_code}' "$at/refused.bin")" = 404 ] || fail "a refused file is named"
serve_bucket
[ "$(put "$work/f1" "$at/refused.bin")" = 200 ] || fail "a file is not taken with the bucket back: $(cat "$work/answer")"
stop TERM

say "a folder of before is given to a bucket"
mkdir "$work/bucket/second"
"$work/projectionist" serve --dir "$work/data" --listen "$main" --listen-tracking "$tracking" --blobs "s3://second?endpoint=http://$s3" >>"$work/out" 2>&1 &
program=$!
large=$(sha256sum "$work/large" | cut -c1-64)
until_ok 300 test -s "$work/bucket/second/${large:0:2}/$large" || fail "it was not given"
say "ok"
