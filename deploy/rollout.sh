#!/usr/bin/env bash
# Puts an image in the place of the one that runs, under deploy/compose.yaml, on this machine or where DOCKER_HOST says;
# if it does not become healthy the one before comes back. The log is in a volume that both use: a release that cannot
# read it says so and does not become healthy.
#
#   deploy/rollout.sh IMAGE
#
# PROJECTIONIST_TOKEN and GRAFANA_PASSWORD are as for deploy/compose.yaml; WAIT is how many seconds it may take to
# become healthy, 300 by default.
# Exit status: 0 the image runs, 1 the one before does again or nothing does, 2 wrong use.
set -uo pipefail
cd "$(dirname "$0")" || exit
[ $# = 1 ] || { sed -n '6,10s/^# \{0,1\}//p' "$(basename "$0")" >&2; exit 2; }
image=$1
compose() { PROJECTIONIST_IMAGE=$1 docker compose -f compose.yaml "${@:2}"; }

before=$(id=$(compose "$image" ps -q projectionist) && [ -n "$id" ] && docker inspect --format '{{.Config.Image}}' "$id")
up() { compose "$1" up --detach --no-build --wait --wait-timeout "${WAIT:-300}" projectionist; }

compose "$image" pull --quiet projectionist || exit 1
if up "$image"; then
	echo "rollout: $image runs"
	exit 0
fi
compose "$image" logs --tail 50 projectionist
if [ -z "$before" ] || [ "$before" = "$image" ]; then
	echo "rollout: $image does not become healthy, and there is none to go back to" >&2
	exit 1
fi
echo "rollout: $image does not become healthy; back to $before" >&2
up "$before" && echo "rollout: $before runs again" >&2
exit 1
