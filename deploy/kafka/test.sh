#!/usr/bin/env bash
# Tests the log on Kafka, and nodes of the program on it, against real brokers: the whole suite on one broker
# (with TLS and SASL beside), then on three, whose brokers and nodes it kills in turn. Clusters are made anew in a folder of their own and are
# gone afterwards. Arguments go to `go test`, such as -race or -run Conformance.
#
#   PROJECTIONIST_TEST_PORT   first port, default 29492 (uses up to 16 after it); best below the range of ports
#                             that systems give to outgoing connections, 32768 on Linux
#   BROKERS                   "1", "3" or "1 3" (default)
#
# Exit status: 77 when Kafka cannot be had here, else go test's.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PROJECTIONIST_TEST_PORT:-29492}
"$here/cluster.sh" install || exit
work=$(mktemp -d)
trap '"$here/cluster.sh" down --dir "$work" || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
status=0
for n in ${BROKERS:-1 3}; do
	args=(--brokers "$n" --dir "$work" --base-port "$port")
	if [ "$n" = 1 ]; then args+=(--secure); fi
	PROJECTIONIST_TEST_KAFKA=$("$here/cluster.sh" up "${args[@]}") || exit
	export PROJECTIONIST_TEST_KAFKA PROJECTIONIST_TEST_KAFKA_DIR=$work
	if [ "$n" = 1 ]; then
		PROJECTIONIST_TEST_KAFKA_SECURE=$("$here/cluster.sh" secure SCRAM-SHA-512 --dir "$work") || exit
		export PROJECTIONIST_TEST_KAFKA_SECURE
	else
		unset PROJECTIONIST_TEST_KAFKA_SECURE
	fi
	echo "=== Kafka with $n broker(s) at $PROJECTIONIST_TEST_KAFKA"
	(cd "$here/../.." && go test -count=1 -timeout 30m "$@" ./streams/kafka) || status=1
	# The whole program in several nodes; with three brokers, under kill -9 of nodes and brokers in turn.
	# How far behind a node is that was away for a million facts is the same of any number of brokers.
	skip=()
	if [ "$n" != 1 ] && [ "${BROKERS:-1 3}" != "$n" ]; then skip=(-skip '^TestKafkaLag$'); fi
	(cd "$here/../.." && go test -count=1 -timeout 30m -run Kafka ${skip[@]+"${skip[@]}"} -v "$@" ./internal/app ./internal/transfer ./internal/cli) || status=1
	"$here/cluster.sh" down --purge --dir "$work"
done
exit $status
