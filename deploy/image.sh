#!/usr/bin/env bash
# Builds the image and looks whether it is one to hand out: it does not start without credentials, becomes ready with
# some, says its version, answers nobody who has none, runs as nobody in particular, ends in good order, and has
# everything again at the next start.
#
#   deploy/image.sh [TAG]      TAG is projectionist:test by default
#
#   VERSION     what the image says it is, default 0.1.0-test
#   BUILD=no    tries the image TAG as it is, with docker or podman
#   ENGINE      docker, podman or buildah; default the first that works. buildah is installed from Debian where there is
#               none. It isolates by chroot and needs no privileges but root's; where it cannot reach a registry it
#               builds on a stand-in for the Go image: busybox, the certificates and the Go of this machine.
#   PORT        where the container's port 8000 is on this machine, default 28000
#
# Exit status: 77 when no image can be built here, else 0 or 1.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
tag=${1:-projectionist:test} version=${VERSION:-0.1.0-test} port=${PORT:-28000}
work=$(mktemp -d)
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
say() { echo "image: $*"; }
cannot() { echo "image: cannot be had: $*" >&2; exit 77; }
failures=0
check() { if [ "$2" = "$3" ]; then say "ok: $1"; else say "FAILED: $1: $2; want $3"; failures=$((failures + 1)); fi; }

engine=${ENGINE:-}
if [ -z "$engine" ]; then
	for e in docker podman; do
		if command -v $e >/dev/null && $e info >/dev/null 2>&1 </dev/null; then engine=$e; break; fi
	done
fi
if [ -z "$engine" ]; then
	command -v buildah >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah busybox-static; } >/dev/null 2>&1 || cannot "docker, podman or Debian's package buildah"
	engine=buildah
fi
say "with $engine"

# --- one way to do each thing, by engine

b() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@" </dev/null; }

# stand_in makes the image that the first stage begins with.
stand_in() {
	local name=$1 c m
	command -v busybox >/dev/null || cannot "Debian's package busybox-static"
	c=$(b from scratch) && m=$(b mount "$c") || return
	mkdir -p "$m"/{bin,tmp,root,usr/local,etc/ssl/certs} && chmod 1777 "$m/tmp"
	cp "$(command -v busybox)" "$m/bin/busybox" && for a in sh mkdir chmod; do ln -s busybox "$m/bin/$a"; done
	cp -a "$(go env GOROOT)" "$m/usr/local/go" && cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$m/etc/ssl/certs/ca-certificates.crt" || return
	b config --env PATH=/usr/local/go/bin:/bin --env GOTOOLCHAIN=local --env GOMODCACHE=/go/pkg/mod --env GOCACHE=/go/cache --env GOPROXY="$(go env GOPROXY)" "$c" && b umount "$c" >/dev/null && b commit -q "$c" "docker.io/library/$name" >/dev/null && b rm "$c" >/dev/null
}

build() {
	if [ "${BUILD:-}" = no ]; then
		$engine pull -q "$tag"
		return
	fi
	if [ $engine != buildah ]; then
		$engine build -t "$tag" --build-arg VERSION="$version" .
		return
	fi
	local base caches=()
	base=golang:$(sed -n 's/^ARG GO_VERSION=//p' Dockerfile)
	if ! b pull -q "docker.io/library/$base" >/dev/null 2>&1; then
		say "no registry: a stand-in for $base, with $(go version)"
		stand_in "$base" || return
		caches=(-v "$(go env GOMODCACHE):/go/pkg/mod" -v "$(go env GOCACHE):/go/cache")
	fi
	b bud --isolation chroot --format docker --pull-never "${caches[@]}" --build-arg VERSION="$version" \
		--build-arg BUILDPLATFORM=linux/"$(go env GOARCH)" --build-arg TARGETOS=linux --build-arg TARGETARCH="$(go env GOARCH)" -t "$tag" . && container=$(b from --pull-never "$tag")
}

config() { # config FORMAT: of the image, as docker inspect has it
	if [ $engine = buildah ]; then b inspect --type image --format "{{.Docker.Config.$1}}" "$tag"; else $engine image inspect --format "{{.Config.$1}}" "$tag"; fi
}

# run NAME ARGUMENT...: a container in the foreground, with the volume, started as the image says
run() {
	if [ $engine != buildah ]; then
		$engine run --rm --name "$name" --read-only -v "$name:/data" -p "127.0.0.1:$port:8000" "${env[@]}" "$tag" "$@" </dev/null
		return
	fi
	# There is no network of its own: the other ports are left off. Nor do volumes of an image outlive a run.
	local args=(--env PROJECTIONIST_LISTEN=0.0.0.0:"$port" --env PROJECTIONIST_DIR=/kept -v "$work/kept:/kept")
	for l in INFERENCE WORKFLOWS FEATURES TRACKING TOPICS; do args+=(--env "PROJECTIONIST_LISTEN_$l=off"); done
	b run --isolation chroot "${args[@]}" "${env[@]}" "$container" -- /projectionist "${@:-serve}"
}

ready() { # as the image's health check asks
	if [ $engine = buildah ]; then run ready; else $engine exec "$name" /projectionist ready; fi
}

stop() {
	if [ $engine != buildah ]; then $engine stop -t 30 "$name" >/dev/null; return; fi
	local log=$work/kept/server.json
	kill -TERM "$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$log")"
}

clean() {
	if [ -n "${running:-}" ]; then stop 2>/dev/null; wait "$running"; fi
	if [ $engine = buildah ]; then b rm -a >/dev/null 2>&1; else $engine volume rm -f "$name" >/dev/null 2>&1; fi
	rm -rf "$work"
}
trap clean EXIT

# --- what must hold

name=projectionist-test-$$ env=() running='' container=''
build || { say "FAILED: it does not build"; exit 1; }
if [ $engine = buildah ]; then mkdir -m 700 "$work/kept" && chown 65532:65532 "$work/kept"; chmod 711 "$work"; fi
check "it runs as a user of its own" "$(config User)" 65532:65532
check "it has a volume" "$(config Volumes)" "map[/data:{}]"
case $(config Healthcheck.Test) in *"/projectionist ready"*) say "ok: it has a health check" ;; *) check "it has a health check" "$(config Healthcheck.Test)" "[CMD /projectionist ready]" ;; esac

env=()
out=$(run 2>&1)
check "without credentials it refuses to start" $? 3
case $out in *PROJECTIONIST_TOKEN*) say "ok: and says what to set" ;; *) check "it says what to set" "$out" PROJECTIONIST_TOKEN ;; esac
check "it says its version" "$(run version)" "projectionist $version"

start() { # start ARGUMENT...: in the background, until it is ready
	env=(-e PROJECTIONIST_TOKEN="$token")
	[ $engine = buildah ] && env=(--env PROJECTIONIST_TOKEN="$token")
	run "$@" >"$work/out" 2>&1 &
	running=$!
	for _ in $(seq 1200); do
		ready >/dev/null 2>&1 && return
		kill -0 $running 2>/dev/null || break
		sleep .5
	done
	cat "$work/out"
	say "FAILED: it does not become ready"
	exit 1
}
end() {
	stop
	wait "$running"
	check "it ends in good order" $? 0
	running=''
	grep -q "ended in good order" "$work/out" || check "it says so" "$(tail -3 "$work/out")" "ended in good order"
}
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
at=http://127.0.0.1:$port
own() { curl -s -H "Authorization: Bearer $token" "$@"; }

start serve --simulate users=40,movies=120,events=1500
check "/readyz with credentials" "$(own -o /dev/null -w '%{http_code}' $at/readyz)" 200
check "/readyz without" "$(status $at/readyz)" 401
check "/readyz with wrong ones" "$(status -u admin:admin $at/readyz)" 401
own "$at/api/v1/recommendations?k=3&user_id=1" | grep -q '"title"'
check "it recommends" $? 0
check "an act is taken" "$(own -o /dev/null -w '%{http_code}' -X POST -H 'Content-Type: application/json' -d '{"user_id":"from-outside","movie_id":"1","rating":5}' $at/api/v1/feedback)" 200
end
start serve
own "$at/api/v1/users/from-outside/history" | grep -q '"movie_id":"1"'
check "at the next start all is there" $? 0
end
say "$([ $failures = 0 ] && echo "all holds" || echo "$failures FAILED")"
[ $failures = 0 ]
