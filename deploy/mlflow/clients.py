"""Does, with MLflow's own client, each thing that its documentation shows, against a server, and checks what comes back.

    python clients.py URI

A line per operation: ok, FAILED with the reason, or "not in this client". Exit status 1 if one failed.
"""

import datetime
import importlib.metadata
import inspect
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

URI = sys.argv[1]
VERSION = tuple(int(x) for x in importlib.metadata.version("mlflow").split(".")[:2])
mlflow.set_tracking_uri(URI)
client = mlflow.MlflowClient()
tag = uuid.uuid4().hex[:8]
MODEL, EXPERIMENT = f"clients-{tag}", f"clients-{tag}"
failed, done, missing = [], 0, 0
shared = {}


class NotInThisClient(Exception):
    pass


def needs(has):
    if not has:
        raise NotInThisClient


def operation(fn):
    """Runs it at once, in the order of the file."""
    global done, missing
    name = fn.__doc__ or fn.__name__
    began = time.time()
    try:
        fn()
        done += 1
        print(f"ok      {name}  {(time.time() - began) * 1000:.0f} ms")
    except NotInThisClient:
        missing += 1
        print(f"-       {name}: not in this client")
    except Exception as e:  # noqa: BLE001
        failed.append(name)
        print(f"FAILED  {name}: {type(e).__name__}: {str(e)[:300]}")
        traceback.print_exc(limit=-2, file=sys.stderr)
    return fn


def refused(code, fn, *args, **kwargs):
    began = time.time()
    try:
        fn(*args, **kwargs)
    except MlflowException as e:
        assert e.error_code == code, f"refused with {e.error_code}, not {code}: {e}"
        assert time.time() - began < 5, "the client tried it again and again"
        return e
    raise AssertionError(f"not refused with {code}")


def names(found):
    return [r.info.run_name for r in found]


# Experiments


@operation
def _():
    """set_experiment, get_experiment, get_experiment_by_name"""
    shared["experiment"] = mlflow.set_experiment(EXPERIMENT).experiment_id
    assert client.get_experiment_by_name(EXPERIMENT).experiment_id == shared["experiment"]
    assert client.get_experiment(shared["experiment"]).lifecycle_stage == "active"
    assert client.get_experiment_by_name(EXPERIMENT + "-none") is None


@operation
def _():
    """create_experiment of a name that is taken"""
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, EXPERIMENT)


@operation
def _():
    """set_experiment_tag, delete_experiment_tag"""
    client.set_experiment_tag(shared["experiment"], "team", "films")
    assert client.get_experiment(shared["experiment"]).tags["team"] == "films"
    if hasattr(client, "delete_experiment_tag"):
        client.delete_experiment_tag(shared["experiment"], "team")
        assert "team" not in client.get_experiment(shared["experiment"]).tags


@operation
def _():
    """rename_experiment; its old name is free"""
    e = client.create_experiment(f"a-{tag}")
    client.rename_experiment(e, f"b-{tag}")
    assert client.get_experiment_by_name(f"b-{tag}").experiment_id == e and client.get_experiment_by_name(f"a-{tag}") is None
    assert client.create_experiment(f"a-{tag}") != e


@operation
def _():
    """delete_experiment, restore_experiment"""
    e = client.get_experiment_by_name(f"b-{tag}").experiment_id
    client.delete_experiment(e)
    assert client.get_experiment(e).lifecycle_stage == "deleted"
    client.restore_experiment(e)
    assert client.get_experiment(e).lifecycle_stage == "active"
    client.delete_experiment(e)


@operation
def _():
    """search_experiments: filter, order, pages, deleted ones"""
    for i in range(5):
        client.create_experiment(f"page-{tag}-{i}", tags={"i": str(i)})
    found, token = [], None
    while True:
        page = client.search_experiments(filter_string=f"name LIKE 'page-{tag}-%'", order_by=["name DESC"], max_results=2, page_token=token)
        found += [e.name for e in page]
        token = page.token
        if not token:
            break
    assert found == [f"page-{tag}-{i}" for i in (4, 3, 2, 1, 0)], found
    assert [e.name for e in client.search_experiments(filter_string=f"tags.i = '3' AND name ILIKE 'PAGE-{tag}%'")] == [f"page-{tag}-3"]
    assert f"b-{tag}" in [e.name for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)]


# Runs


@operation
def _():
    """start_run nested and tagged, log_param(s), log_metric(s), set_tag(s), end"""
    with mlflow.start_run(run_name="parent", tags={"kind": "sweep"}, description="words") as parent:
        shared["run"] = parent.info.run_id
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "long": "x" * 500})
        for i in range(3):
            with mlflow.start_run(run_name=f"child-{i}", nested=True) as child:
                shared[f"child{i}"] = child.info.run_id
                mlflow.log_metric("loss", 1 / (i + 1))
                mlflow.set_tags({"i": i, "even": i % 2 == 0})
    run = client.get_run(shared["run"])
    assert run.info.status == "FINISHED" and run.data.params["depth"] == "3" and run.data.tags["kind"] == "sweep"
    assert client.get_run(shared["child1"]).data.tags["mlflow.parentRunId"] == shared["run"]


@operation
def _():
    """metrics at steps: NaN, ±Infinity, 1e308, repeated; get_metric_history"""
    r = shared["run"]
    values = [(0, 1.5), (1, float("nan")), (2, float("inf")), (3, float("-inf")), (4, 1e308), (5, -0.25)]
    for step, v in values:
        client.log_metric(r, "odd", v, timestamp=1_700_000_000_000 + step, step=step)
    client.log_metric(r, "odd", 1.5, timestamp=1_700_000_000_000, step=0)
    got = {m.step: m.value for m in client.get_metric_history(r, "odd")}
    assert len(got) == 6 and math.isnan(got[1]) and got[2] > 1e308 and got[3] < -1e308 and got[4] == 1e308, got
    assert client.get_run(r).data.metrics["odd"] == -0.25


@operation
def _():
    """get_metric_history of 5,000 points, in pages"""
    r = shared["run"]
    for start in range(0, 5000, 1000):
        client.log_batch(r, metrics=[Metric("long", i * 0.5, 1_700_000_000_000 + i, i) for i in range(start, start + 1000)])
    got = client.get_metric_history(r, "long")
    assert [m.step for m in got] == list(range(5000)) and got[4999].value == 2499.5


@operation
def _():
    """log_batch of metrics, params and tags together"""
    client.log_batch(shared["run"], metrics=[Metric("a", 1, 1, 0)], params=[Param("p", "1")], tags=[RunTag("t", "2")])
    d = client.get_run(shared["run"]).data
    assert d.metrics["a"] == 1 and d.params["p"] == "1" and d.tags["t"] == "2"


@operation
def _():
    """a param is set once"""
    client.log_param(shared["run"], "once", "1")
    client.log_param(shared["run"], "once", "1")
    refused("INVALID_PARAMETER_VALUE", client.log_param, shared["run"], "once", "2")


@operation
def _():
    """asynchronous logging: log_metric(synchronous=False), flush"""
    with mlflow.start_run(run_name="async") as r:
        waits = [mlflow.log_metric("m", i, step=i, synchronous=False) for i in range(50)]
        for w in waits:
            w.wait()
        mlflow.flush_async_logging()
    assert len(client.get_metric_history(r.info.run_id, "m")) == 50


@operation
def _():
    """update_run: status and name; set_terminated; delete_tag"""
    r = client.create_run(shared["experiment"], run_name="first")
    client.update_run(r.info.run_id, status="RUNNING", name="second")
    client.set_tag(r.info.run_id, "x", "1")
    client.delete_tag(r.info.run_id, "x")
    client.set_terminated(r.info.run_id, "KILLED")
    got = client.get_run(r.info.run_id)
    assert got.info.run_name == "second" and got.info.status == "KILLED" and "x" not in got.data.tags


@operation
def _():
    """delete_run, restore_run"""
    r = shared["child2"]
    client.delete_run(r)
    assert client.get_run(r).info.lifecycle_stage == "deleted"
    client.restore_run(r)
    assert client.get_run(r).info.lifecycle_stage == "active"


@operation
def _():
    """get_run of none, get_experiment of none"""
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "123456789")


@operation
def _():
    """search_runs: metrics, params, tags, attributes, LIKE, IN, order, pages"""
    e = [shared["experiment"]]
    assert names(client.search_runs(e, "metrics.loss < 0.6", order_by=["metrics.loss ASC"])) == ["child-2", "child-1"]
    assert names(client.search_runs(e, "tags.`mlflow.runName` LIKE 'child-%' and metrics.loss > 0.4", order_by=["attributes.start_time ASC"])) == ["child-0", "child-1"]
    assert names(client.search_runs(e, "params.depth = '3'")) == ["parent"]
    assert names(client.search_runs(e, f"attributes.run_id IN ('{shared['child0']}', '{shared['child1']}')", order_by=["tags.i DESC"])) == ["child-1", "child-0"]
    assert names(client.search_runs(e, "attributes.run_name ILIKE 'PAR%' and attributes.status = 'FINISHED'")) == ["parent"]
    found, token = [], None
    while True:
        page = client.search_runs(e, order_by=["tags.i ASC", "attributes.run_name ASC"], max_results=2, page_token=token)
        found += names(page)
        token = page.token
        if not token:
            break
    assert len(found) == len(set(found)) == len(client.search_runs(e)), found
    refused("INVALID_PARAMETER_VALUE", client.search_runs, e, "metrics.loss <")


@operation
def _():
    """mlflow.search_runs as a table"""
    table = mlflow.search_runs([shared["experiment"]], filter_string="metrics.loss > 0")
    assert len(table) == 3 and "metrics.loss" in table.columns


@operation
def _():
    """log_input, and runs found by their data set"""
    needs(hasattr(mlflow, "log_input"))
    data = mlflow.data.from_pandas(pd.DataFrame({"a": [1, 2], "y": [0, 1]}), name=f"set-{tag}", targets="y")
    with mlflow.start_run(run_name="fed"):
        mlflow.log_input(data, context="training", **({"tags": {"x": "1"}} if "tags" in inspect.signature(mlflow.log_input).parameters else {}))
        mlflow.log_input(data, context="training")
        r = mlflow.active_run().info.run_id
    given = client.get_run(r).inputs.dataset_inputs
    assert len(given) == 1 and given[0].dataset.name == f"set-{tag}" and given[0].dataset.digest
    assert names(client.search_runs([shared["experiment"]], f"datasets.name = 'set-{tag}'")) == ["fed"]


# Files


@operation
def _():
    """log_artifact(s), list, download, folders"""
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(os.path.join(d, "in", "deep"))
        for path, text in (("in/a.txt", "a"), ("in/deep/b c.txt", "b"), ("in/ü.txt", "u")):
            with open(os.path.join(d, path), "w") as f:
                f.write(text)
        client.log_artifacts(shared["run"], os.path.join(d, "in"), "files")
        client.log_artifact(shared["run"], os.path.join(d, "in", "a.txt"))
    listed = {(f.path, f.is_dir) for f in client.list_artifacts(shared["run"], "files")}
    assert listed == {("files/a.txt", False), ("files/deep", True), ("files/ü.txt", False)}, listed
    at = client.download_artifacts(shared["run"], "files")
    with open(os.path.join(at, "deep", "b c.txt")) as f:
        assert f.read() == "b"


@operation
def _():
    """log_text, log_dict, log_figure, log_image, log_table, load_table"""
    with mlflow.start_run(run_id=shared["run"]):
        mlflow.log_text("hello", "notes.txt")
        mlflow.log_dict({"a": [1, 2]}, "conf.json")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "picture.png")
        mlflow.log_table({"q": ["x"], "a": [1]}, "table.json")
        mlflow.log_table({"q": ["y"], "a": [2]}, "table.json")
        try:
            import matplotlib

            matplotlib.use("Agg")
            import matplotlib.pyplot as plt

            figure, axis = plt.subplots()
            axis.plot([1, 2])
            mlflow.log_figure(figure, "figure.png")
        except ImportError:
            pass
    assert mlflow.artifacts.load_text(f"runs:/{shared['run']}/notes.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{shared['run']}/conf.json") == {"a": [1, 2]}
    assert list(mlflow.load_table("table.json", run_ids=[shared["run"]])["a"]) == [1, 2]


@operation
def _():
    """a path that climbs out is refused"""
    import requests

    run = client.get_run(shared["run"])
    for path in ("../x", "a/../../x", "%2e%2e/x"):
        got = requests.put(f"{URI}/api/2.0/mlflow-artifacts/artifacts/{run.info.experiment_id}/{run.info.run_id}/artifacts/{path}", data=b"x", timeout=300)
        assert got.status_code in (400, 404), (path, got.status_code)


@operation
def _():
    """artifacts are deleted"""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(client.get_run(shared["run"]).info.artifact_uri).delete_artifacts("notes.txt")
    assert "notes.txt" not in [f.path for f in client.list_artifacts(shared["run"])]


# Models


@operation
def _():
    """autolog of scikit-learn"""
    mlflow.sklearn.autolog(silent=True)
    try:
        with mlflow.start_run(run_name="autolog") as r:
            LogisticRegression(max_iter=50).fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])
        run = client.get_run(r.info.run_id)
        assert run.data.params["max_iter"] == "50" and "training_accuracy_score" in run.data.metrics
    finally:
        mlflow.sklearn.autolog(disable=True)


@operation
def _():
    """log_model with signature, example and registered name; load_model by runs:/"""
    x = pd.DataFrame({"a": [0.0, 1, 2, 3], "b": [1.0, 0, 1, 0]})
    fitted = LogisticRegression().fit(x, [0, 0, 1, 1])
    shared["x"] = x
    how = {"name": "clf"} if VERSION >= (3, 0) else {"artifact_path": "clf"}
    with mlflow.start_run(run_name="trained") as r:
        shared["info"] = mlflow.sklearn.log_model(fitted, signature=infer_signature(x, fitted.predict(x)), input_example=x[:2], registered_model_name=MODEL, **how)
    shared["trained"], shared["want"] = r.info.run_id, list(fitted.predict(x))
    assert list(mlflow.sklearn.load_model(f"runs:/{r.info.run_id}/clf").predict(x)) == shared["want"]


@operation
def _():
    """register_model again, get_latest_versions, get_model_version, download uri"""
    v = mlflow.register_model(f"runs:/{shared['trained']}/clf", MODEL)
    assert v.version in ("2", 2)
    assert client.get_model_version(MODEL, "1").status == "READY"
    assert client.get_model_version_download_uri(MODEL, "1")


@operation
def _():
    """load_model by models:/name/1, /latest, pyfunc"""
    for uri in (f"models:/{MODEL}/1", f"models:/{MODEL}/latest"):
        assert list(mlflow.pyfunc.load_model(uri).predict(shared["x"])) == shared["want"]


@operation
def _():
    """aliases: set, get_model_version_by_alias, load by @, move, delete"""
    client.set_registered_model_alias(MODEL, "champion", "1")
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "1"
    assert list(mlflow.pyfunc.load_model(f"models:/{MODEL}@champion").predict(shared["x"])) == shared["want"]
    client.set_registered_model_alias(MODEL, "champion", "2")
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "2"
    client.delete_registered_model_alias(MODEL, "champion")
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, MODEL, "champion")


@operation
def _():
    """stages: transition with archive_existing_versions, load by models:/name/Production"""
    client.transition_model_version_stage(MODEL, "1", "Production")
    client.transition_model_version_stage(MODEL, "2", "Production", archive_existing_versions=True)
    assert client.get_model_version(MODEL, "1").current_stage == "Archived"
    assert [str(v.version) for v in client.get_latest_versions(MODEL, ["Production"])] == ["2"]
    assert list(mlflow.sklearn.load_model(f"models:/{MODEL}/Production").predict(shared["x"])) == shared["want"]
    refused("INVALID_PARAMETER_VALUE", client.transition_model_version_stage, MODEL, "1", "Nowhere")


@operation
def _():
    """tags and descriptions of models and versions"""
    client.set_registered_model_tag(MODEL, "a", "1")
    client.set_model_version_tag(MODEL, "1", "b", "2")
    client.update_registered_model(MODEL, description="what it is")
    client.update_model_version(MODEL, "1", description="the first")
    m, v = client.get_registered_model(MODEL), client.get_model_version(MODEL, "1")
    assert m.tags["a"] == "1" and m.description == "what it is" and v.tags["b"] == "2" and v.description == "the first"
    client.delete_registered_model_tag(MODEL, "a")
    client.delete_model_version_tag(MODEL, "1", "b")
    assert not client.get_registered_model(MODEL).tags and not client.get_model_version(MODEL, "1").tags


@operation
def _():
    """search_registered_models, search_model_versions"""
    client.create_registered_model(MODEL + "-b", tags={"t": tag}, description="another")
    assert [m.name for m in client.search_registered_models(f"name LIKE '{MODEL}%'", order_by=["name DESC"])] == [MODEL + "-b", MODEL]
    assert [m.name for m in client.search_registered_models(f"tags.t = '{tag}'")] == [MODEL + "-b"]
    assert [str(v.version) for v in client.search_model_versions(f"name = '{MODEL}'", order_by=["version_number DESC"])] == ["2", "1"]
    assert [str(v.version) for v in client.search_model_versions(f"run_id = '{shared['trained']}' and name = '{MODEL}'")]


@operation
def _():
    """create_registered_model of a name that is taken; get of none"""
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, MODEL)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, MODEL + "-none")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, MODEL, "99")


@operation
def _():
    """copy_model_version"""
    v = client.copy_model_version(f"models:/{MODEL}/1", MODEL + "-copy")
    assert str(v.version) == "1" and list(mlflow.pyfunc.load_model(f"models:/{MODEL}-copy/1").predict(shared["x"])) == shared["want"]


@operation
def _():
    """rename_registered_model; what is in Production loads under the new name"""
    client.rename_registered_model(MODEL, MODEL + "-new")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, MODEL)
    assert list(mlflow.sklearn.load_model(f"models:/{MODEL}-new/Production").predict(shared["x"])) == shared["want"]
    client.create_registered_model(MODEL)  # the old name is free
    client.delete_registered_model(MODEL)
    client.rename_registered_model(MODEL + "-new", MODEL)


@operation
def _():
    """delete_model_version, delete_registered_model"""
    client.transition_model_version_stage(MODEL, "2", "Archived")
    client.delete_model_version(MODEL, "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, MODEL, "2")
    client.delete_registered_model(MODEL + "-b")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, MODEL + "-b")
    assert str(mlflow.register_model(f"runs:/{shared['trained']}/clf", MODEL).version) == "3"  # a number is not given again


@operation
def _():
    """logged models: get, search, tags, load by models:/m-…"""
    needs(VERSION >= (3, 0))
    m = mlflow.get_logged_model(shared["info"].model_id)
    assert m.name == "clf" and m.status.name == "READY" and m.source_run_id == shared["trained"]
    client.set_logged_model_tags(m.model_id, {"a": "1"})
    found = mlflow.search_logged_models([shared["experiment"]], filter_string="name = 'clf' AND tags.a = '1'", output_format="list")
    assert [x.model_id for x in found] == [m.model_id]
    assert list(mlflow.sklearn.load_model(f"models:/{m.model_id}").predict(shared["x"])) == shared["want"]
    assert shared["info"].model_id in [o.model_id for o in client.get_run(shared["trained"]).outputs.model_outputs]


@operation
def _():
    """metrics of logged models on a data set, and models found by them"""
    needs(VERSION >= (3, 0))
    data = mlflow.data.from_pandas(pd.DataFrame({"a": [1]}), name=f"eval-{tag}")
    with mlflow.start_run(run_id=shared["trained"]):
        mlflow.log_metric("f1", 0.9, model_id=shared["info"].model_id, dataset=data)
    m = mlflow.get_logged_model(shared["info"].model_id)
    assert [(x.key, x.value, x.dataset_name) for x in m.metrics] == [("f1", 0.9, f"eval-{tag}")], m.metrics
    found = mlflow.search_logged_models([shared["experiment"]], filter_string="metrics.f1 > 0.8", datasets=[{"dataset_name": f"eval-{tag}"}], output_format="list")
    assert [x.model_id for x in found] == [m.model_id]


@operation
def _():
    """webhooks: create, list, update, delete"""
    needs(hasattr(client, "create_webhook"))
    refused("INVALID_PARAMETER_VALUE", client.create_webhook, name="inside", url="http://127.0.0.1:1/", events=["model_version.created"])
    w = client.create_webhook(name=f"w-{tag}", url="https://93.184.215.14/hook", events=["model_version.created", "registered_model.created"], secret="s")
    assert f"w-{tag}" in [x.name for x in client.list_webhooks()]
    client.update_webhook(w.webhook_id, status="DISABLED")
    assert str(client.get_webhook(w.webhook_id).status).endswith("DISABLED")
    client.delete_webhook(w.webhook_id)


# The command line


def command(*args):
    done = subprocess.run([sys.executable, "-m", "mlflow", *args], env={**os.environ, "MLFLOW_TRACKING_URI": URI}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout


@operation
def _():
    """mlflow runs list, runs describe"""
    assert "child-1" in command("runs", "list", "--experiment-id", shared["experiment"])
    assert json.loads(command("runs", "describe", "--run-id", shared["run"]))["data"]["params"]["depth"] == "3"


@operation
def _():
    """mlflow experiments search, experiments csv"""
    assert EXPERIMENT in command("experiments", "search")
    table = pd.read_csv(io.StringIO(command("experiments", "csv", "--experiment-id", shared["experiment"])))
    assert len(table) >= 6


@operation
def _():
    """mlflow artifacts list, artifacts download"""
    assert "files" in command("artifacts", "list", "--run-id", shared["run"])
    with tempfile.TemporaryDirectory() as d:
        command("artifacts", "download", "--run-id", shared["run"], "--artifact-path", "conf.json", "--dst-path", d)
        assert os.path.exists(os.path.join(d, "conf.json"))


# The past


@operation
def _():
    """the past: the same client reads what was known, and nothing can be changed"""
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    time.sleep(0.05)
    client.set_registered_model_alias(MODEL, "after", "1")
    client.set_tag(shared["run"], "after", "1")
    client.delete_experiment(client.get_experiment_by_name(f"page-{tag}-0").experiment_id)
    past = mlflow.MlflowClient(f"{URI}/at/{moment}", f"{URI}/at/{moment}")
    assert "after" not in past.get_run(shared["run"]).data.tags and "after" not in past.get_registered_model(MODEL).aliases
    assert past.get_experiment_by_name(f"page-{tag}-0").lifecycle_stage == "active"
    assert names(past.search_runs([shared["experiment"]], "metrics.loss < 0.6", order_by=["metrics.loss ASC"])) == ["child-2", "child-1"]
    refused("PERMISSION_DENIED", past.set_tag, shared["run"], "x", "1")
    refused("PERMISSION_DENIED", past.create_registered_model, "x")


print(f"mlflow {importlib.metadata.version('mlflow')}: {done} operations ok, {len(failed)} failed, {missing} not in this client")
sys.exit(bool(failed))
