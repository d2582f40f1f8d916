#!/usr/bin/env bash
# The menu of the guide over the program's own commands. Each entry is an argument too: ./run_movie_mlops.sh 11
#
#   1 set up once        2 start everything    5 API    6 ML    7 monitoring    8 test the whole    11 status
#
# The data folder is projectionist-data/guide unless PROJECTIONIST_DIR says otherwise; .env is read where it is. Files for
# people are made here, in data/ and models/, unless PROJECTIONIST_FILES says where.
set -uo pipefail
cd "$(dirname "$0")" || exit
bin=./bin/projectionist
dir=${PROJECTIONIST_DIR:-projectionist-data/guide}
export PROJECTIONIST_DIR=$dir PROJECTIONIST_FILES=${PROJECTIONIST_FILES:-$PWD}
log=$dir.log

say() { printf '\n%s\n' "$*"; }

built() { [ -x "$bin" ] || make build; }

set_up() {
	built || return
	if [ ! -f .env ]; then
		cp .env.template .env
		say "made .env from .env.template: put TMDB_API_KEY in to fetch films from TMDB; everything else works without it"
	fi
	mkdir -p "$(dirname "$dir")"
	say "set up: $bin"
}

serves() { curl -fs http://localhost:8000/healthz >/dev/null; }

start() {
	set_up || return
	if serves; then
		say "it runs already:"
		status
		return
	fi
	say "starting; its output goes to $log"
	nohup "$bin" serve --dir "$dir" >"$log" 2>&1 &
	local pid=$!
	for _ in $(seq 600); do
		if curl -fs http://localhost:8000/readyz >/dev/null 2>&1 && kill -0 "$pid" 2>/dev/null; then
			for _ in $(seq 50); do # it looks for itself every now and then, and says so
				! grep -q ' ready: ' "$log" || break
				sleep .2
			done
			cat "$log"
			say "it runs as process $pid; end it with: kill $pid"
			return
		fi
		if ! kill -0 "$pid" 2>/dev/null; then
			cat "$log"
			say "it did not start"
			return 1
		fi
		sleep 1
	done
	say "it is not ready after ten minutes: see $log"
	return 1
}

api() {
	start || return
	say "films everybody meets, and what somebody new is shown:"
	curl -fsS 'http://localhost:8000/?k=3' && echo && curl -fsS 'http://localhost:8000/api/v1/recommendations?k=3&user_id=test_user_001' && echo
}

ml() {
	start || return
	say "training a model on the log as it stands:"
	"$bin" workflows run movie_training_pipeline --follow && "$bin" models list
}

monitoring() {
	start || return
	say "figures of recommendations, at http://localhost:8000/metrics:"
	curl -fsS http://localhost:8000/metrics | grep -E '^(http_requests|recommendation|model_predictions|model_evaluation|user|system_)' | head -40
	say "Prometheus and Grafana are programs of their own; the inspection says whether they run:"
	"$bin" doctor | grep -E 'SYSTEM|prometheus|grafana'
	say "to start Prometheus (apt-get install prometheus), which Grafana reads; its dashboard is in deploy/grafana:"
	say "  prometheus --config.file=deploy/prometheus/prometheus.yml --storage.tsdb.path=$(dirname "$dir")/prometheus --web.listen-address=127.0.0.1:9090"
}

test_all() {
	start || return
	./run_tests.sh && "$bin" doctor
}

status() { built && "$bin" doctor; }

run() {
	case $1 in
	1) set_up ;;
	2) start ;;
	5) api ;;
	6) ml ;;
	7) monitoring ;;
	8) test_all ;;
	11) status ;;
	*)
		echo "there is no entry $1; there are 1, 2, 5, 6, 7, 8 and 11" >&2
		return 2
		;;
	esac
}

if [ $# -gt 0 ]; then
	run "$1"
	exit
fi
while true; do
	cat <<-'MENU'

		   1  set up once
		   2  start everything
		   5  API: what is recommended
		   6  ML: train, evaluate, register, promote
		   7  monitoring
		   8  test the whole
		  11  status of all systems
		   q  leave
	MENU
	read -r -p "> " choice || exit 0
	case $choice in
	q | "") exit 0 ;;
	*) run "$choice" ;;
	esac
done
