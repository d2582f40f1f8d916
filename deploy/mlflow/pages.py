"""Makes, with MLflow's own client, what MLflow's pages are to show, and prints its ids as JSON.

    python pages.py URI
"""

import datetime
import json
import math
import sys

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

EXPERIMENT, MODEL = "shown-by-pages", "pages-model"

before = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
experiment = mlflow.set_experiment(EXPERIMENT)
mlflow.set_experiment_tag("team", "films")

random = np.random.RandomState(1)
x = pd.DataFrame(random.rand(40, 3), columns=list("abc"))
y = (x.a > 0.5).astype(int)
data = mlflow.data.from_pandas(x.assign(y=y), name="forty", targets="y")
signature = infer_signature(x, y)
picture = random.randint(0, 255, (40, 60, 3), dtype=np.uint8)

with mlflow.start_run(run_name="parent", description="the **whole** of it", tags={"kind": "sweep"}) as parent:
    mlflow.log_input(data, context="training")
    mlflow.log_params({"lr": "0.1", "depth": "3"})
    for i in range(3):
        with mlflow.start_run(run_name=f"child-{i}", nested=True) as child:
            mlflow.log_params({"lr": str(0.1 * (i + 1)), "kind": "ab"[i % 2]})
            mlflow.log_input(data, context="training")
            for step in range(30):
                left = math.exp(-step * 0.1 * (i + 1))
                mlflow.log_metrics({"loss": left, "acc": 1 - left}, step=step)
                mlflow.log_metric("system/cpu_utilization_percentage", 10 + step % 5, step=step)
            mlflow.log_metric("no number", float("nan"))
            mlflow.log_metric("too large", float("inf"))
            mlflow.log_metric("validation/loss", 0.5 + i, step=1)
    mlflow.log_text("hello\nworld\n", "notes/a.txt")
    mlflow.log_dict({"a": 1}, "conf.json")
    mlflow.log_text("a,b\n1,2\n3,4\n", "data/t.csv")
    mlflow.log_text("<h1>a heading</h1>", "page.html")
    mlflow.log_table({"question": ["x", "y"], "answer": [1, 2]}, "table.json")
    mlflow.log_image(picture, "img.png")
    mlflow.log_image(picture, key="shots", step=1)
    fitted = LogisticRegression().fit(x, y)
    logged = mlflow.sklearn.log_model(fitted, name="clf", signature=signature, input_example=x[:2], registered_model_name=MODEL)
    mlflow.log_metric("f1", 0.9, model_id=logged.model_id, dataset=data)

with mlflow.start_run(run_name="second") as second:
    mlflow.log_param("lr", "9")
    mlflow.log_metric("loss", 3.0)
    mlflow.sklearn.log_model(fitted, name="clf2", signature=signature, registered_model_name=MODEL)

client.set_registered_model_alias(MODEL, "best", "1")
client.set_model_version_tag(MODEL, "1", "reviewed", "yes")
client.update_model_version(MODEL, "1", description="the first *one*")
client.set_registered_model_tag(MODEL, "owner", "me")
client.update_registered_model(MODEL, description="a model of pages")

running = client.create_run(experiment.experiment_id, run_name="still running")
client.log_metric(running.info.run_id, "loss", 1.5)
for name, status in {"broken": "FAILED", "gone": "FINISHED"}.items():
    run = client.create_run(experiment.experiment_id, run_name=name)
    client.set_terminated(run.info.run_id, status)
client.delete_run(run.info.run_id)

own = client.get_experiment_by_name("movie_recommendation_experiment")
trained = {r.info.run_name: r.info.run_id for r in client.search_runs([own.experiment_id])}
print(json.dumps({
    "experiment": experiment.experiment_id, "experiment_name": EXPERIMENT, "parent": parent.info.run_id, "child": child.info.run_id,
    "second": second.info.run_id, "model": logged.model_id, "name": MODEL, "before": before,
    "own": {"experiment": own.experiment_id, "run": trained["als"], "baseline": trained["movie_predictor"]},
}))
