#!/usr/bin/env bash
# Tests what Prometheus and Grafana are given here. promtool checks the configurations and runs the tests of the rules; then a
# real Prometheus scrapes a live, fresh process under a little real traffic, and the five queries of the guide and every
# query of the dashboard must have data. It installs what is missing (Debian's packages prometheus and jq).
#
#   test.sh             all
#   test.sh rules       only what needs no process
#
#   PROJECTIONIST_TEST_PORT   first of three ports, default 28950
#
# Exit status: 77 when Prometheus or jq cannot be had here, else 0 or 1. Grafana is not needed: nothing here draws.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
dashboard=deploy/grafana/dashboards/mlops-overview.json
port=${PROJECTIONIST_TEST_PORT:-28950}
main=127.0.0.1:$port inference=127.0.0.1:$((port + 1)) prometheus=127.0.0.1:$((port + 2))
say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }

for tool in promtool:prometheus prometheus:prometheus jq:jq; do
	command -v "${tool%:*}" >/dev/null || { apt-get update -qq && apt-get install -y -qq "${tool#*:}"; } >/dev/null 2>&1 ||
		{ say "monitoring: cannot be had: Debian's package ${tool#*:}" >&2; exit 77; }
done

rules() {
	local config
	for config in "$here"/prometheus.yml "$here"/compose.yml; do
		[ ! -f "$config" ] || promtool check config --syntax-only "$config" || return
	done
	promtool check rules "$here"/rules/*.yml && promtool test rules "$here"/tests/*.yml || return
	# Every alert is tried both ways.
	local alert
	for alert in $(sed -n 's/^ *- alert: //p' "$here/rules/alerting.yml"); do
		grep -q "name: $alert fires" "$here"/tests/*.yml && grep -q "name: $alert does not" "$here"/tests/*.yml || { say "$alert is not tried both ways"; return 1; }
	done
}
rules || fail "the rules"
[ "${1:-}" != rules ] || exit 0

work=$(mktemp -d)
pids=()
cleanup() {
	if [ ${#pids[@]} -gt 0 ]; then kill "${pids[@]}" 2>/dev/null; wait "${pids[@]}" 2>/dev/null; fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

until_ok() { # until_ok SECONDS COMMAND...
	local end=$((SECONDS + $1)); shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep .3
	done
}
post() { curl -sS -X POST "$1" -H 'Content-Type: application/json' -d "$2"; }

go build -o "$work/projectionist" . || fail "it does not build"
"$work/projectionist" serve --dir "$work/data" --listen "$main" --listen-inference "$inference" >"$work/out" 2>&1 &
pids+=($!)
# As the file says, but faster, and this process.
sed -e 's/_interval: .*/_interval: 1s/' -e "s|localhost:8000|$main|" -e "s|rules/|$here/rules/|" "$here/prometheus.yml" >"$work/prometheus.yml"
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="$prometheus" >"$work/prometheus.out" 2>&1 &
pids+=($!)
ready() { curl -fs "http://$main/readyz" >/dev/null; }
until_ok 300 ready || { cat "$work/out"; fail "it is not ready"; }

# A person is shown a list, and clicks, rates and refuses films of it; features are read; and a model is asked for ratings,
# which fails for as long as no version predicts any.
visits=0
visit() { # visit N
	local films
	visits=$((visits + 1))
	mapfile -t films < <(curl -fsS "http://$main/api/v1/recommendations?k=5&user_id=$1" | jq -r '.items[].movie_id')
	[ ${#films[@]} = 5 ] || fail "person $1 is recommended ${#films[@]} films"
	local act
	for act in "${films[0]}\",\"interaction_type\":\"impression" "${films[1]}\",\"interaction_type\":\"click" "${films[2]}\",\"interaction_type\":\"like" "${films[3]}\",\"interaction_type\":\"dislike"; do
		post "http://$main/api/v1/feedback" "{\"user_id\":\"$1\",\"session_id\":\"s$1\",\"movie_id\":\"$act\"}" >/dev/null || fail "feedback"
	done
	curl -fsS "http://$main/?k=3" >/dev/null && curl -fsS "http://$main/api/v1/features/movie/${films[0]}" >/dev/null || fail "features, or the baseline"
	ratings=$(post "http://$inference/predict" "{\"user_id\":$1,\"movie_ids\":[1,2,3]}")
	sleep .5
}
for n in $(seq 12); do visit "$n"; done
jq -e '.detail | test("predicts ratings")' <<<"$ratings" >/dev/null || fail "ratings without a model: $ratings"
"$work/projectionist" train neural_cf --server "http://$main" --epochs 1 >"$work/train" 2>&1 || { cat "$work/train"; fail "training"; }
for n in $(seq 13 20); do visit "$n"; done
jq -e '.predictions | length == 3' <<<"$ratings" >/dev/null || fail "ratings: $ratings"
post "http://$main/api/v1/trigger/model-drift" '{"model_name":"movie_predictor","drift_score":0.85,"threshold":0.7}' >/dev/null &&
	post "http://$main/api/v1/trigger/system-overload" '{"service_name":"movie-api","cpu_usage":95.0,"memory_usage":88.5}' >/dev/null || fail "a trigger"
for n in $(seq 21 24); do visit "$n"; done

# What came of that is counted to the film: somebody looks and does nothing, nobody in particular looks, and an impression is no click.
curl -fsS "http://$main/api/v1/recommendations?k=5&user_id=90" >/dev/null && curl -fsS "http://$main/api/v1/recommendations?k=5" >/dev/null || fail "a list"
counted() {
	engagement=$(curl -fsS "http://$main/api/v1/engagement")
	jq -e --argjson n "$visits" '.total | .lists == $n + 1 and .lists_taken_up == $n and .films == 5 * ($n + 1) and .films_taken_up == 3 * $n and
		.films_liked == $n and .films_disliked == $n and .sessions == $n and .satisfaction == 0.5' <<<"$engagement" >/dev/null
}
until_ok 120 counted || fail "of $visits people who clicked, liked and disliked a film each, and one who did nothing, it is said: $(jq -c .total <<<"$engagement")"

ask() { curl -sS -G "http://$prometheus/api/v1/query" --data-urlencode "query=$1"; }
# found prints how many series have a number, and one of the numbers.
found() { jq -r '[.data.result[]?.value[1] | select(test("^[-+0-9.e]+$"))] | "\(length) \(.[0] // "-")"' <<<"$1"; }
row() { printf '%-9s %-32s %6s  %-12s %s\n' "$@"; }
missing=0
check() { # check WHERE TITLE QUERY: waits until there are data
	local query=$3 n value end=$((SECONDS + 120))
	query=${query//\$__rate_interval/20s} query=${query//\$job/.+}
	while read -r n value < <(found "$(ask "$query")") && [ "$n" = 0 ] && [ $SECONDS -lt $end ]; do visit 25; done
	row "$1" "$2" "$n" "${value:0:12}" "$query"
	[ "$n" != 0 ] || missing=$((missing + 1))
}

read -r n _ < <(found "$(ask 'no_such_metric / 0')")
[ "$n" = 0 ] || fail "a query without data is said to have some"
read -r n _ < <(found "$(ask 'vector(0) / 0')")
[ "$n" = 0 ] || fail "what is no number is taken for data"

row WHERE PANEL SERIES "A VALUE" QUERY
while IFS= read -r query; do check guide "" "$query"; done <<'QUERIES'
system_cpu_usage_percent
rate(http_requests_total[1m])
histogram_quantile(0.95, rate(model_prediction_duration_seconds_bucket[1m]))
rate(http_requests_total{status=~"5.."}[5m]) / rate(http_requests_total[5m])
database_connections_active
QUERIES
panels=0 place=
while IFS=$'\t' read -r kind title query; do
	if [ "$kind" = row ]; then place=$title; continue; fi
	panels=$((panels + 1))
	check "${place:0:9}" "${title:0:32}" "$query"
done < <(jq -r '.panels[] | if .type == "row" then ["row", .title, ""] else .title as $t | .targets[] | ["query", $t, .expr] end | @tsv' "$dashboard" | sed 's/\\\\/\\/g')
[ "$panels" -gt 0 ] || fail "the dashboard has no queries"
jq -e '.uid == "mlops-overview" and ([.panels[].id] | unique | length) == (.panels | length)' "$dashboard" >/dev/null || fail "the dashboard's uid or the ids of its panels"
[ $missing = 0 ] || fail "$missing queries have no data"

# What somebody types who has no Prometheus.
figures=$(curl -fsS "http://$main/metrics")
promtool check metrics <<<"$figures" || fail "promtool finds fault with /metrics"
for pattern in "(http_requests|model_predictions)" "(recommendation|prediction|user)"; do
	lines=$(grep -E "$pattern" <<<"$figures" | grep -cE '^[a-z_]+(\{.*\})? [0-9.e+-]*[1-9]')
	say "/metrics | grep -E \"$pattern\": $lines figures above 0"
	[ "$lines" -gt 5 ] || fail "too few"
done

# Every rule can be evaluated on what the program says; what was reported is alerted, and nothing else.
judged() { curl -sS "http://$prometheus/api/v1/rules" | jq -e '[.data.groups[].rules[].health] | length > 0 and all(. == "ok")' >/dev/null; }
until_ok 120 judged || { curl -sS "http://$prometheus/api/v1/rules" | jq -c '.data.groups[].rules[] | select(.health != "ok")'; fail "rules that cannot be evaluated"; }
fires() { curl -sS "http://$prometheus/api/v1/alerts" | jq -e '[.data.alerts[] | select(.state == "firing") | .labels.alertname] | sort == ["ModelDrift", "ServiceNotWell"]' >/dev/null; }
until_ok 120 fires || { curl -sS "http://$prometheus/api/v1/alerts"; fail "what was reported is to be alerted, and nothing else"; }
curl -sS "http://$prometheus/api/v1/targets" | jq -e '.data.activeTargets | length == 1 and all(.health == "up")' >/dev/null || fail "the target is not up"
say "ok: $panels queries of the dashboard and 5 of the guide have data; only the drift and the overload that were reported are alerted"
