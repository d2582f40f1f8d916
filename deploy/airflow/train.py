"""Fits a line and logs it by MLflow's own client, as a task of a workflow: nothing here knows of the program but its environment.

Where the file HOLD names is not there, it stays: for whoever wants to kill what started it.
"""
import json
import os
import sys
import time

import mlflow

print("mlflow", mlflow.__version__, "at", os.environ["MLFLOW_TRACKING_URI"])
with open(os.environ["PIDS"], "a") as f:
    print(os.getpid(), os.environ["PROJECTIONIST_TRY"], file=f)
while os.environ.get("HOLD") and not os.path.exists(os.environ["HOLD"]):
    print("held")
    time.sleep(.2)

rate, steps = float(os.environ["RATE"]), 50
points = [(x / 10, 3 * x / 10 + 1) for x in range(20)]
with mlflow.start_run(run_name="line") as run:
    mlflow.log_param("rate", rate)
    a = b = 0.0
    for step in range(steps):
        da = sum(2 * (a * x + b - y) * x for x, y in points) / len(points)
        db = sum(2 * (a * x + b - y) for x, y in points) / len(points)
        a, b = a - rate * da, b - rate * db
        loss = sum((a * x + b - y) ** 2 for x, y in points) / len(points)
        mlflow.log_metric("loss", loss, step=step)
    mlflow.log_text(json.dumps({"a": a, "b": b}), "line.json")
print("the slope is near 3", file=sys.stderr)
print("the key is", os.environ["KEY"])
print(json.dumps({"run_id": run.info.run_id, "loss": loss}))
