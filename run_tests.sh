#!/usr/bin/env bash
# Runs the tests: all that need nothing but Go, or one kind of them.
#
#   ./run_tests.sh               all
#   ./run_tests.sh unit          packages by themselves
#   ./run_tests.sh integration   what they are together: log, views, reactors and surfaces in one process
#   ./run_tests.sh e2e           the program as people start it, killed and started again
set -uo pipefail
cd "$(dirname "$0")" || exit
export CGO_ENABLED=0
together='./handlers/react ./handlers/roles ./api/... ./internal/transfer ./streams/...'
whole='./internal/app ./internal/cli'
case ${1:-all} in
all) exec make test ;;
unit) exec go test $(go list ./... | grep -vxF "$(go list $together $whole)") ;;
integration) exec go test -timeout 8m $together ;;
e2e) exec go test -timeout 8m $whole ;;
*)
	echo "there is no kind of tests $1; there are unit, integration and e2e" >&2
	exit 2
	;;
esac
