#!/usr/bin/env bash
# Tests the embedded log's Kafka door with the clients people have: kcat, kafka-python, confluent-kafka and
# Kafka's own Java tools. It installs what is missing: kcat from Debian, Python clients into a venv, the
# jars with cluster.sh; and what comes of the events that Kafka's console producer publishes to the whole program.
# Arguments go to `go test`.
#
# Exit status: 77 when a client cannot be had here, else go test's.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${PROJECTIONIST_KAFKA_HOME:-${HOME:?}/.cache/projectionist/kafka}
cannot() { echo "kafka clients: cannot be had: $*" >&2; exit 77; }

command -v kcat >/dev/null || (apt-get update -qq && apt-get install -y -qq kcat) >/dev/null 2>&1 || cannot "Debian's package kcat"
venv=$home/venv
if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q kafka-python==3.0.12 confluent-kafka==2.16.1 >/dev/null || cannot "kafka-python and confluent-kafka from PyPI"
	touch "$venv/.complete"
fi
"$here/cluster.sh" install || exit
libs=$(ls -d "$home"/libs-*/ | head -1)
cd "$here/../.."
DOOR_KCAT=kcat DOOR_PYTHON=$venv/bin/python DOOR_JAVA_LIBS=$libs exec go test -count=1 -run Client "$@" ./streams/door ./internal/cli
