"""MLflow's side of the bench: one request a line on stdin, one answer a line on stdout, both JSON.

What would take its server hours to be told is put into its database as the server itself puts it there.
"""
import json
import os
import sqlite3
import sys

import mlflow


def connect(database):
    return sqlite3.connect(database, timeout=60)


def runs(database, experiment, location, count, metrics, start):
    """Runs with params and metrics: run i has start time start + i, and metric k of it the value (i * 7919 + k * 104729) % 1000003."""
    db = connect(database)
    ids = [f"{i:032x}" for i in range(1, count + 1)]
    db.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, source_version, lifecycle_stage,"
        " artifact_uri, experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', 'bench', 'RUNNING', ?, '', 'active', ?, ?)",
        ((r, f"run-{i}", start + i, f"{location}/{r}/artifacts", experiment) for i, r in enumerate(ids)),
    )
    db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName', ?, ?)", ((f"run-{i}", r) for i, r in enumerate(ids)))
    db.executemany("INSERT INTO params (key, value, run_uuid) VALUES ('lr', ?, ?)", ((str(i % 10), r) for i, r in enumerate(ids)))
    for table in ("metrics", "latest_metrics"):
        db.executemany(
            f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, 0, ?)",
            ((f"m{k}", float((i * 7919 + k * 104729) % 1000003), r) for i, r in enumerate(ids) for k in range(metrics)),
        )
    db.commit()
    db.close()
    return {}


def history(database, run, key, count):
    """A metric's values at steps 0 to count - 1."""
    db = connect(database)
    db.executemany(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
        ((key, float(i % 1000), i + 1, i, run) for i in range(count)),
    )
    db.execute("INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)", (key, float((count - 1) % 1000), count, count - 1, run))
    db.commit()
    db.close()
    return {}


def files(folder, count):
    """Files as the server keeps them: on the disk."""
    os.makedirs(folder, exist_ok=True)
    for i in range(count):
        with open(os.path.join(folder, f"f{i:05d}.txt"), "w") as f:
            f.write(str(i))
    return {}


def version():
    return {"version": mlflow.__version__}


for line in sys.stdin:
    request = json.loads(line)
    call = {"runs": runs, "history": history, "files": files, "version": version}[request.pop("do")]
    try:
        answer = call(**request)
    except Exception as e:  # told to the bench, which ends
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
