#!/usr/bin/env bash
# Holds the schedules of workflows against those of croniter and of Airflow's own CronDataIntervalTimetable: all slots of a year, of
# some hundred random expressions in five zones (of dense ones, Airflow's around each change of the clock). What may differ, and does, is
# counted and printed; see schedules.py. Arguments go to it: --seed N, --expressions N, --year N.
#
# Exit status: 77 when croniter cannot be had here, 1 where a slot differs. Without Airflow it says so, and compares with croniter alone.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
venv=${HOME:?}/.cache/projectionist/schedules
croniter=croniter==7.0.0 airflow=apache-airflow-core==3.3.2
if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q "$croniter" tzdata >/dev/null || { echo "schedules: cannot be had: $croniter from PyPI" >&2; exit 77; }
	touch "$venv/.complete"
fi
"$venv/bin/pip" show -q "${airflow%%==*}" 2>/dev/null || "$venv/bin/pip" install -q "$croniter" "$airflow" >/dev/null 2>&1 || echo "schedules: without Airflow: $airflow cannot be had" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME=$work/airflow # which Airflow writes a configuration to when it is imported
python=("$venv/bin/python" deploy/airflow/schedules.py)
"${python[@]}" write "$work/schedules" "$@" || exit
PROJECTIONIST_SCHEDULES=$work/schedules go test -count=1 -run '^TestSchedulesOf$' ./handlers/workflow || exit
"${python[@]}" compare "$work/schedules"
