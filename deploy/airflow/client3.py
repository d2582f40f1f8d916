"""Does, with Airflow 3's own client, each operation that it has, against a server with the workflows of client3.sh, and checks what
comes back.

    python client3.py URI [USER PASSWORD]

A line per check: ok, or FAILED with the reason; then how many of the client's operations were done, and which of them the server has
not. Exit status 1 if one failed, or if the client has an operation that this file does not know.
"""

import contextlib
import importlib.metadata
import inspect
import json
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

import airflow_client.client as airflow
from airflow_client.client import api as apis
from airflow_client.client.exceptions import ApiException

URI = sys.argv[1].rstrip("/")
USER, PASSWORD = (sys.argv[2:] + ["admin", "admin"])[:2]
TAG = uuid.uuid4().hex[:8]
QUICK, BROKEN, TRAINING = "quick", "movie_data_collection", "movie_training_pipeline"
failed, checks = [], 0
done = set()  # operations that have answered something


def token(path="/auth/token", body=None, kind="application/json"):
    data = json.dumps(body or {"username": USER, "password": PASSWORD}).encode()
    if kind != "application/json":
        data = f"username={USER}&password={PASSWORD}".encode()
    request = urllib.request.Request(URI + path, data=data, headers={"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201, answer.status
        return json.load(answer)["access_token"]


def client(access_token):
    return airflow.ApiClient(airflow.Configuration(host=URI, access_token=access_token))


def recorded(api, names):
    """Has each operation of an API noted when it answers."""
    for name in names:
        called = getattr(api, name)

        def call(*args, _called=called, _name=name, **kwargs):
            result = _called(*args, **kwargs)
            done.add(_name)
            return result

        setattr(api, name, call)
    return api


def operations(kind):
    return [n for n, f in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_") and not n.endswith(("_with_http_info", "_without_preload_content"))]


kinds = [k for n, k in vars(apis).items() if inspect.isclass(k)]
every = {n for k in kinds for n in operations(k)}
with_token = client(token())
dag, run, source, stats, version_api, warnings, logs, errors, jobs, monitor, plugins, pools, providers, tasks, instances, about, xcom, assets, links, config, variables, connections, backfills = (
    recorded(k(with_token), operations(k))
    for k in (
        apis.DAGApi, apis.DagRunApi, apis.DagSourceApi, apis.DagStatsApi, apis.DagVersionApi, apis.DagWarningApi, apis.EventLogApi, apis.ImportErrorApi, apis.JobApi, apis.MonitorApi,
        apis.PluginApi, apis.PoolApi, apis.ProviderApi, apis.TaskApi, apis.TaskInstanceApi, apis.VersionApi, apis.XComApi, apis.AssetApi, apis.ExtraLinksApi, apis.ConfigApi,
        apis.VariableApi, apis.ConnectionApi, apis.BackfillApi,
    )
)


def check(fn):
    """Runs it at once, in the order of the file."""
    global checks
    checks += 1
    began = time.time()
    try:
        fn()
        print(f"ok      {fn.__doc__}  {(time.time() - began) * 1000:.0f} ms")
    except Exception as e:  # noqa: BLE001
        failed.append(fn.__doc__)
        print(f"FAILED  {fn.__doc__}: {type(e).__name__}: {str(e)[:400]}")
        traceback.print_exc(limit=-3, file=sys.stderr)


@contextlib.contextmanager
def refused(status, says=""):
    try:
        yield
    except ApiException as e:
        assert e.status == status, f"refused with {e.status}, not {status}: {e.body}"
        assert says in (e.body or ""), f"{e.body} does not say {says}"
        return
    raise AssertionError(f"not refused with {status}")


def body(**fields):
    return airflow.TriggerDAGRunPostBody(logical_date=fields.pop("logical_date", None), **fields)


def until(what, seconds=300):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "it did not come to that in time"
        time.sleep(0.02)


def ended(dag_id, run_id):
    return json.loads(str(run.wait_dag_run_until_finished(dag_id, run_id, 0.5)).strip().splitlines()[-1].replace("'", '"'))["state"]


# Credentials


@check
def _():
    """POST /auth/token: as JSON and as a form, /auth/token/cli; a wrong password is 401"""
    for t in (token(), token(kind="application/x-www-form-urlencoded"), token("/auth/token/cli")):
        assert apis.DAGApi(client(t)).get_dags().total_entries >= 3
    try:
        token(body={"username": USER, "password": PASSWORD + "x"})
    except urllib.error.HTTPError as e:
        assert e.code == 401 and json.load(e)["detail"] == "Invalid credentials"
    else:
        raise AssertionError("a wrong password was taken")


@check
def _():
    """a token that is none: 403; user and password instead of one: 401"""
    with refused(403, "Invalid JWT token"):
        apis.DAGApi(client("nope")).get_dags()
    with refused(403, "Invalid JWT token"):
        apis.DAGApi(client(token()[:-2])).get_dags()
    api = apis.DAGApi(client(None))
    api.api_client.default_headers["Authorization"] = airflow.Configuration(username=USER, password=PASSWORD).get_basic_auth_token()
    with refused(401, "Not authenticated"):
        api.get_dags()


# The server


@check
def _():
    """get_health, get_version"""
    health = monitor.get_health()
    assert health.metadatabase.status == "healthy" and health.scheduler.status == "healthy", health
    assert about.get_version().version.startswith("3.")


@check
def _():
    """get_import_errors, get_import_error, list_dag_warnings, get_jobs, get_plugins, import_errors, get_providers"""
    assert errors.get_import_errors().total_entries == 0
    with refused(404, "was not found"):
        errors.get_import_error(7)
    assert warnings.list_dag_warnings().total_entries == 0
    jobs.get_jobs(), plugins.get_plugins(), plugins.import_errors(), providers.get_providers()
    done.add("get_import_error")


@check
def _():
    """get_config, get_config_value: not to be seen, 403"""
    with refused(403):
        config.get_config()
    with refused(403):
        config.get_config_value("core", "parallelism")
    done.update(("get_config", "get_config_value"))


@check
def _():
    """get_assets, get_asset_events, get_asset_aliases, get_asset, get_asset_alias: there are none"""
    assert assets.get_assets().total_entries == assets.get_asset_events().total_entries == assets.get_asset_aliases().total_entries == 0
    with refused(404):
        assets.get_asset(1)
    with refused(404):
        assets.get_asset_alias(1)
    done.update(("get_asset", "get_asset_alias"))


# DAGs


@check
def _():
    """get_dags: patterns, tags, pauses, order, pages"""
    names = [d.dag_id for d in dag.get_dags(order_by=["-dag_id"]).dags]
    assert names == sorted(names, reverse=True) and {QUICK, BROKEN, TRAINING} <= set(names), names
    assert [d.dag_id for d in dag.get_dags(dag_id_pattern="QUI").dags] == [QUICK]
    assert [d.dag_id for d in dag.get_dags(dag_id_prefix_pattern="quick").dags] == [QUICK]
    assert [d.dag_id for d in dag.get_dags(tags=["clients"], tags_match_mode="all").dags] == ["passing", QUICK]
    page = dag.get_dags(limit=1, offset=1)
    assert len(page.dags) == 1 and page.total_entries == len(names)
    assert dag.get_dags(paused=True).total_entries == 0
    with refused(400, "Ordering with 'nope'"):
        dag.get_dags(order_by=["nope"])


@check
def _():
    """get_dag, get_dag_details, get_dag_tags; one that there is not: 404"""
    assert dag.get_dag(QUICK).tags[0].name == "clients"
    details = dag.get_dag_details(QUICK)
    assert details.params["sleep"]["value"] == 0 and details.params["sleep"]["schema"]["type"] == "integer", details.params
    assert details.latest_dag_version.version_number >= 1 and details.timezone == "UTC"
    assert "clients" in dag.get_dag_tags().tags
    for ask in (dag.get_dag, dag.get_dag_details, tasks.get_tasks):
        with refused(404, "The Dag with ID: `nope` was not found"):
            ask("nope")


@check
def _():
    """patch_dag, patch_dags: pausing, and going on"""
    assert dag.patch_dag(QUICK, airflow.DAGPatchBody(is_paused=True), update_mask=["is_paused"]).is_paused
    assert [d.dag_id for d in dag.get_dags(paused=True).dags] == [QUICK]
    assert [d.is_paused for d in dag.patch_dags(airflow.DAGPatchBody(is_paused=False), dag_id_pattern="quick").dags] == [False]
    assert dag.patch_dags(airflow.DAGPatchBody(is_paused=True)).total_entries == 0
    with refused(404):
        dag.patch_dag("nope", airflow.DAGPatchBody(is_paused=True))


@check
def _():
    """get_tasks, get_task"""
    got = tasks.get_tasks(QUICK)
    assert [t.task_id for t in got.tasks] == ["first", "second"] and got.tasks[0].downstream_task_ids == ["second"], got
    assert tasks.get_task(QUICK, "second").trigger_rule == "all_success"
    with refused(404, "Task with id nope was not found"):
        tasks.get_task(QUICK, "nope")


@check
def _():
    """get_dag_versions, get_dag_version, get_dag_source"""
    versions = version_api.get_dag_versions(QUICK, order_by=["-version_number"])
    newest = versions.dag_versions[0]
    assert newest.version_number == versions.total_entries
    assert version_api.get_dag_version(QUICK, newest.version_number).id == newest.id
    assert version_api.get_dag_versions("~").total_entries >= 3
    content = source.get_dag_source(QUICK)
    assert content.content.startswith("name: quick") and content.version_number == newest.version_number
    text = source.get_dag_source_without_preload_content(QUICK, _headers={"Accept": "text/plain"}).read().decode()
    assert text == content.content
    with refused(404, "was not found"):
        source.get_dag_source(QUICK, version_number=99)
    with refused(404, "was not found"):
        version_api.get_dag_version(QUICK, 99)


# Runs


@check
def _():
    """trigger_dag_run: with an id, conf, note; wait_dag_run_until_finished tells its end and results"""
    got = run.trigger_dag_run(QUICK, body(dag_run_id=f"a-{TAG}", conf={"sleep": 0}, note="by hand"))
    assert got.state == "queued" and got.run_type == "manual" and got.logical_date is None and got.note == "by hand" and got.triggering_user_name == USER, got
    assert got.dag_versions[0].version_number >= 1 and got.run_after > datetime.now(timezone.utc) - timedelta(minutes=1)
    lines = str(run.wait_dag_run_until_finished(QUICK, f"a-{TAG}", 0.2, result=["first"]))
    assert "success" in lines and "rows" in lines, lines
    got = run.get_dag_run(QUICK, f"a-{TAG}")
    assert got.state == "success" and got.end_date >= got.start_date and got.duration >= 0 and got.conf == {"sleep": "0"}, got


@check
def _():
    """trigger_dag_run: the id again is 409 and makes nothing; what is wrong is 400, 404 or 422"""
    with refused(409, "already exists"):
        run.trigger_dag_run(QUICK, body(dag_run_id=f"a-{TAG}"))
    for status, says, dag_id, wrong in (
        (404, "Dag with dag_id: 'nope' not found", "nope", {}),
        (400, "sleep", QUICK, {"conf": {"sleep": 9999}}),
        (400, "conf.nope", QUICK, {"conf": {"nope": 1}}),
        (400, "run_id", QUICK, {"dag_run_id": "a/b"}),
        (422, "data_interval_start", QUICK, {"data_interval_start": datetime.now(timezone.utc)}),
    ):
        with refused(status, says):
            run.trigger_dag_run(dag_id, body(**wrong))
    assert run.get_dag_runs(QUICK, run_id_pattern=TAG).total_entries == 1


@check
def _():
    """trigger_dag_run: for a date, with an interval; an id that needs to be encoded in a path"""
    at = datetime(2024, 1, 2, tzinfo=timezone.utc)
    got = run.trigger_dag_run(QUICK, body(dag_run_id=f"b-{TAG}", logical_date=at, data_interval_start=at, data_interval_end=at + timedelta(days=1)))
    assert got.logical_date == at and got.data_interval_end == at + timedelta(days=1), got
    made = run.trigger_dag_run(QUICK, body())
    assert made.dag_run_id.startswith("manual__20") and "+" in made.dag_run_id
    assert ended(QUICK, made.dag_run_id) == ended(QUICK, f"b-{TAG}") == "success"
    assert run.get_dag_run(QUICK, made.dag_run_id).dag_run_id == made.dag_run_id


@check
def _():
    """get_dag_runs: filters, order, pages, cursors"""
    got = run.get_dag_runs(QUICK, state=["success"], order_by=["-run_after"], limit=2)
    assert len(got.dag_runs) == 2 and got.dag_runs[0].run_after >= got.dag_runs[1].run_after
    assert [r.dag_run_id for r in run.get_dag_runs(QUICK, logical_date_gte=datetime(2024, 1, 1, tzinfo=timezone.utc), logical_date_lt=datetime(2024, 1, 3, tzinfo=timezone.utc), run_id_pattern=TAG).dag_runs] == [f"b-{TAG}"]
    seen, cursor = [], ""
    while cursor is not None:
        page = run.get_dag_runs("~", limit=2, order_by=["-run_after"], cursor=cursor)
        seen += [r.dag_run_id for r in page.dag_runs]
        cursor = page.next_cursor
    assert len(seen) == len(set(seen)) == run.get_dag_runs("~", limit=1).total_entries, seen
    with refused(404):
        run.get_dag_runs("nope")
    with refused(400, "Ordering with 'nope'"):
        run.get_dag_runs(QUICK, order_by=["nope"])
    with refused(404, "was not found"):
        run.get_dag_run(QUICK, "nope")


@check
def _():
    """get_list_dag_runs_batch, get_upstream_asset_events, get_dag_stats"""
    got = run.get_list_dag_runs_batch("~", airflow.DAGRunsBatchBody(dag_ids=[QUICK], states=["success"], page_limit=1, order_by="-start_date"))
    assert len(got.dag_runs) == 1 and got.total_entries >= 3
    with refused(422):
        run.get_list_dag_runs_batch(QUICK, airflow.DAGRunsBatchBody())
    assert run.get_upstream_asset_events(QUICK, f"a-{TAG}").total_entries == 0
    counts = {s.state: s.count for s in stats.get_dag_stats(dag_ids=[QUICK]).dags[0].stats}
    assert counts["success"] >= 3, counts


# Tasks of runs


@check
def _():
    """get_task_instances, get_task_instance, get_task_instances_batch"""
    got = instances.get_task_instances(QUICK, f"a-{TAG}", order_by=["-start_date"])
    assert [t.task_id for t in got.task_instances] == ["second", "first"] and {t.state for t in got.task_instances} == {"success"}, got
    one = instances.get_task_instance(QUICK, f"a-{TAG}", "first")
    assert one.try_number == 1 and one.duration >= 0 and one.dag_version.version_number >= 1
    assert instances.get_task_instances("~", "~", task_id="first", state=["success"]).total_entries >= 3
    batch = instances.get_task_instances_batch("~", "~", airflow.TaskInstancesBatchBody(dag_run_ids=[f"a-{TAG}"], task_ids=["second"], state=["success"]))
    assert [t.task_id for t in batch.task_instances] == ["second"]
    with refused(404, "was not found"):
        instances.get_task_instance(QUICK, f"a-{TAG}", "nope")
    with refused(404, "was not found"):
        instances.get_task_instances(QUICK, "nope")


@check
def _():
    """get_task_instance_tries, _try_details, _dependencies, get_extra_links; nothing is mapped"""
    assert instances.get_task_instance_tries(QUICK, f"a-{TAG}", "first").total_entries == 1
    assert instances.get_task_instance_try_details(QUICK, f"a-{TAG}", "first", 1).state == "success"
    assert instances.get_task_instance_dependencies(QUICK, f"a-{TAG}", "first").dependencies == []
    assert instances.get_task_instance_dependencies_by_map_index(QUICK, f"a-{TAG}", "first", -1).dependencies == []
    assert instances.get_mapped_task_instance(QUICK, f"a-{TAG}", "first", -1).task_id == "first"
    assert instances.get_mapped_task_instance_tries(QUICK, f"a-{TAG}", "first", -1).total_entries == 1
    assert instances.get_mapped_task_instance_try_details(QUICK, f"a-{TAG}", "first", 1, -1).try_number == 1
    assert links.get_extra_links(QUICK, f"a-{TAG}", "first").total_entries == 0
    with refused(404, "is not mapped"):
        instances.get_mapped_task_instances(QUICK, f"a-{TAG}", "first")
    with refused(404):
        instances.get_task_instance_try_details(QUICK, f"a-{TAG}", "first", 9)
    done.add("get_mapped_task_instances")


@check
def _():
    """get_log: messages, and a line of JSON each; get_external_log_url"""
    content = instances.get_log(QUICK, f"a-{TAG}", "first", 1, full_content=True).content.actual_instance
    assert content and any(m.timestamp for m in content) and all(m.event for m in content), content
    lines = instances.get_log_without_preload_content(QUICK, f"a-{TAG}", "first", 1, _headers={"Accept": "application/x-ndjson"}).read().decode().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [m.event for m in content]
    with refused(404, "TaskInstance not found"):
        instances.get_log(QUICK, f"a-{TAG}", "first", 9)
    with refused(400):
        instances.get_external_log_url(QUICK, f"a-{TAG}", "first", 1)
    done.add("get_external_log_url")


@check
def _():
    """get_xcom_entries, get_xcom_entry"""
    keys = [e.key for e in xcom.get_xcom_entries(QUICK, f"a-{TAG}", "first").xcom_entries]
    assert "return_value" in keys and "rows" in keys, keys
    one = {"dag_id": QUICK, "dag_run_id": f"a-{TAG}", "task_id": "first"}
    value = xcom.get_xcom_entry(**one, xcom_key="return_value").actual_instance.value
    assert isinstance(value, dict) and value["rows"].isdigit(), value
    assert "'rows'" in xcom.get_xcom_entry(**one, xcom_key="return_value", stringify=True).actual_instance.value
    assert xcom.get_xcom_entries("~", "~", "~", xcom_key="return_value").total_entries >= 3
    with refused(404, "not found"):
        xcom.get_xcom_entry(**one, xcom_key="nope")


# Steering


@check
def _():
    """a run that fails, and what is said of why; its failed tasks are cleared, dry and really, and are tried again"""
    run.trigger_dag_run(BROKEN, body(dag_run_id=f"f-{TAG}"))
    until(lambda: instances.get_task_instance(BROKEN, f"f-{TAG}", "fetch_movies").state in ("up_for_retry", "failed"))
    said = " ".join(m.event for m in instances.get_log(BROKEN, f"f-{TAG}", "fetch_movies", 1).content.actual_instance)
    assert "TMDB" in said, said
    assert ended(BROKEN, f"f-{TAG}") == "failed"
    states = {t.task_id: t.state for t in instances.get_task_instances(BROKEN, f"f-{TAG}").task_instances}
    assert states == {"fetch_movies": "failed", "process_movies": "upstream_failed"}, states
    before = instances.get_task_instance_tries(BROKEN, f"f-{TAG}", "fetch_movies").total_entries
    dry = instances.post_clear_task_instances(BROKEN, airflow.ClearTaskInstancesBody(dag_run_id=f"f-{TAG}"))
    assert {t.task_id for t in dry.task_instances} == set(states) and run.get_dag_run(BROKEN, f"f-{TAG}").state == "failed"
    instances.post_clear_task_instances(BROKEN, airflow.ClearTaskInstancesBody(dag_run_id=f"f-{TAG}", dry_run=False))
    until(lambda: instances.get_task_instance_tries(BROKEN, f"f-{TAG}", "fetch_movies").total_entries > before)
    with refused(404, "not found in dag"):
        instances.post_clear_task_instances(BROKEN, airflow.ClearTaskInstancesBody(dag_run_id="nope"))


@check
def _():
    """patch_task_instance_dry_run, patch_task_instance: a failed task is marked as done, and its run goes on and ends well"""
    dry = instances.patch_task_instance_dry_run(BROKEN, f"f-{TAG}", "fetch_movies", airflow.PatchTaskInstanceBody(new_state="success"))
    assert [t.task_id for t in dry.task_instances] == ["fetch_movies"] and dry.task_instances[0].state != "success"
    assert instances.patch_task_instance_dry_run_by_map_index(BROKEN, f"f-{TAG}", "fetch_movies", -1, airflow.PatchTaskInstanceBody(new_state="success")).total_entries == 1
    got = instances.patch_task_instance(BROKEN, f"f-{TAG}", "fetch_movies", airflow.PatchTaskInstanceBody(new_state="success", note="had them already"))
    assert got.task_instances[0].state == "success" and got.task_instances[0].note == "had them already"
    assert ended(BROKEN, f"f-{TAG}") == "success"
    with refused(409, "already in success state"):
        instances.patch_task_instance(BROKEN, f"f-{TAG}", "fetch_movies", airflow.PatchTaskInstanceBody(new_state="success"))
    noted = instances.patch_task_instance_by_map_index(BROKEN, f"f-{TAG}", "fetch_movies", -1, airflow.PatchTaskInstanceBody(note="seen"), update_mask=["note"])
    assert noted.task_instances[0].note == "seen"
    with refused(404, "Task 'nope' not found"):
        instances.patch_task_instance(BROKEN, f"f-{TAG}", "nope", airflow.PatchTaskInstanceBody(new_state="success"))


@check
def _():
    """clear_dag_run: dry, and really; each task has another try"""
    # The client cannot read what is answered to a dry run, of Airflow's own server neither: two of its models fit.
    dry = json.loads(run.clear_dag_run_without_preload_content(QUICK, f"a-{TAG}", airflow.DAGRunClearBody()).read())
    assert dry["total_entries"] == 2 and run.get_dag_run(QUICK, f"a-{TAG}").state == "success"
    again = run.clear_dag_run(QUICK, f"a-{TAG}", airflow.DAGRunClearBody(dry_run=False)).actual_instance
    assert again.dag_run_id == f"a-{TAG}" and again.state in ("queued", "running")
    assert ended(QUICK, f"a-{TAG}") == "success"
    assert {t.try_number for t in instances.get_task_instances(QUICK, f"a-{TAG}").task_instances} == {2}
    with refused(404):
        run.clear_dag_run(QUICK, "nope", airflow.DAGRunClearBody())


@check
def _():
    """patch_dag_run: a note; a run under way is ended as failed, and its task stops"""
    assert run.patch_dag_run(QUICK, f"a-{TAG}", airflow.DAGRunPatchBody(note="seen")).note == "seen"
    run.trigger_dag_run(TRAINING, body(dag_run_id=f"t-{TAG}"))
    got = run.patch_dag_run(TRAINING, f"t-{TAG}", airflow.DAGRunPatchBody(state="failed", note="not now"), update_mask=["state", "note"])
    assert got.state == "failed" and got.note == "not now"
    until(lambda: all(t.state in ("failed", "upstream_failed", "success") for t in instances.get_task_instances(TRAINING, f"t-{TAG}").task_instances))
    with refused(404):
        run.patch_dag_run(QUICK, "nope", airflow.DAGRunPatchBody(note="x"))


@check
def _():
    """ten at once wait for one run, and all are told of its end"""
    said = []
    dag.patch_dag(QUICK, airflow.DAGPatchBody(is_paused=True))
    run.trigger_dag_run(QUICK, body(dag_run_id=f"w-{TAG}"))
    waiting = [threading.Thread(target=lambda: said.append(str(apis.DagRunApi(client(with_token.configuration.access_token)).wait_dag_run_until_finished(QUICK, f"w-{TAG}", 0.2)))) for _ in range(10)]
    for t in waiting:
        t.start()
    dag.patch_dag(QUICK, airflow.DAGPatchBody(is_paused=False))
    for t in waiting:
        t.join(60)
    assert len(said) == 10 and all("success" in s for s in said), said


@check
def _():
    """clear_dag_runs, bulk_dag_runs: several at once; what cannot be is said, and the rest is done"""
    for i in range(3):
        run.trigger_dag_run(QUICK, body(dag_run_id=f"m{i}-{TAG}"))
        assert ended(QUICK, f"m{i}-{TAG}") == "success"
    got = run.clear_dag_runs(QUICK, airflow.BulkDAGRunClearBody(dag_runs=[airflow.BulkDAGRunBody(dag_run_id=f"m{i}-{TAG}") for i in range(2)], dry_run=False)).actual_instance
    assert [r.dag_run_id for r in got.dag_runs] == [f"m0-{TAG}", f"m1-{TAG}"], got
    assert ended(QUICK, f"m0-{TAG}") == ended(QUICK, f"m1-{TAG}") == "success"
    actions = {
        "actions": [
            {"action": "update", "entities": [{"dag_run_id": f"m0-{TAG}", "note": "bulk"}, {"dag_run_id": "nope"}], "action_on_non_existence": "skip"},
            {"action": "delete", "entities": [f"m1-{TAG}", f"m2-{TAG}"]},
        ]
    }
    got = run.bulk_dag_runs(QUICK, airflow.BulkBodyBulkDAGRunBody.from_dict(actions))
    assert got.update.success == [f"{QUICK}.m0-{TAG}"] and got.delete.success == [f"{QUICK}.m{i}-{TAG}" for i in (1, 2)], got
    assert run.get_dag_run(QUICK, f"m0-{TAG}").note == "bulk"
    with refused(404):
        run.get_dag_run(QUICK, f"m2-{TAG}")


@check
def _():
    """get_event_logs, get_event_log: what was done is there, by whom"""
    got = logs.get_event_logs(dag_id=QUICK, event="trigger_dag_run", owner=USER, order_by=["-event_log_id"])
    assert got.total_entries >= 3 and {e.event for e in got.event_logs} == {"trigger_dag_run"} and got.event_logs[0].when >= got.event_logs[-1].when, got
    assert logs.get_event_log(got.event_logs[0].event_log_id).run_id == got.event_logs[0].run_id
    assert logs.get_event_logs(run_id=f"f-{TAG}", included_events=["patch_task_instance"]).event_logs[0].owner == USER
    assert logs.get_event_logs(after=datetime.now(timezone.utc) + timedelta(days=1)).total_entries == 0
    with refused(404, "not found"):
        logs.get_event_log(99999999)


@check
def _():
    """delete_dag_run, delete_dag: they are shown no more; what goes on is not deleted"""
    run.trigger_dag_run(TRAINING, body(dag_run_id=f"d-{TAG}"))
    until(lambda: run.get_dag_run(TRAINING, f"d-{TAG}").state == "running")
    with refused(409, "cannot be deleted in running state"):
        run.delete_dag_run(TRAINING, f"d-{TAG}")
    run.patch_dag_run(TRAINING, f"d-{TAG}", airflow.DAGRunPatchBody(state="failed"))
    run.delete_dag_run(TRAINING, f"d-{TAG}")
    with refused(404, "was not found"):
        run.get_dag_run(TRAINING, f"d-{TAG}")
    with refused(404, "was not found"):
        run.delete_dag_run(TRAINING, f"d-{TAG}")
    dag.delete_dag("passing")
    with refused(404, "The Dag with ID: `passing` was not found"):
        dag.get_dag("passing")
    with refused(404, "Dag with id: passing was not found"):
        dag.delete_dag("passing")


@check
def _():
    """post_variable, get_variable, get_variables, patch_variable, delete_variable"""
    key = f"genres-{TAG}"
    made = variables.post_variable(airflow.VariableBody(key=key, value=["drama"], description="of films"))
    assert json.loads(made.value) == ["drama"] and made.description == "of films", made
    with refused(409, "already exists"):
        variables.post_variable(airflow.VariableBody(key=key, value="x"))
    assert variables.patch_variable(key, airflow.VariableBody(key=key, value="x"), update_mask=["value"]).value == "x"
    got = variables.get_variable(key)
    assert got.value == "x" and got.description == "of films"
    assert [v.key for v in variables.get_variables(variable_key_pattern=TAG).variables] == [key]
    variables.delete_variable(key)
    for ask in (variables.get_variable, variables.delete_variable):
        with refused(404, "was not found"):
            ask(key)


@check
def _():
    """get_connections, get_connection: what the program was configured with"""
    got = connections.get_connections()
    for c in got.connections:
        assert connections.get_connection(c.connection_id).password is None
    with refused(404, "was not found"):
        connections.get_connection("nope")
    done.add("get_connection")


@check
def _():
    """bulk_variables: several at once; what cannot be is said, and the rest is done"""
    a, b = f"a-{TAG}", f"b-{TAG}"
    got = variables.bulk_variables(
        airflow.BulkBodyVariableBody.from_dict(
            {
                "actions": [
                    {"action": "create", "entities": [{"key": a, "value": "1"}, {"key": b, "value": "2"}]},
                    {"action": "update", "entities": [{"key": a, "value": "3"}, {"key": f"c-{TAG}", "value": "4"}], "action_on_non_existence": "skip"},
                    {"action": "delete", "entities": [b, f"c-{TAG}"]},
                ]
            }
        )
    )
    assert got.create.success == [a, b] and got.update.success == [a] and got.delete.success == [] and got.delete.errors[0]["status_code"] == 404, got
    assert variables.get_variable(a).value == "3"
    got = variables.bulk_variables(airflow.BulkBodyVariableBody.from_dict({"actions": [{"action": "delete", "entities": [a, b]}]}))
    assert got.delete.success == [a, b] and got.create is None, got


# Pools


@check
def _():
    """post_pool, get_pool, get_pools, patch_pool, delete_pool"""
    name = f"gpu-{TAG}"
    made = pools.post_pool(airflow.PoolBody(name=name, slots=3, description="cards"))
    assert made.slots == made.open_slots == 3 and made.description == "cards" and made.include_deferred is False, made
    with refused(409, "Unique constraint violation"):
        pools.post_pool(airflow.PoolBody(name=name, slots=1))
    assert pools.get_pool("default_pool").slots == 128
    assert [p.name for p in pools.get_pools(pool_name_pattern=TAG).pools] == [name]
    assert pools.get_pools(order_by=["-name"], limit=1).total_entries == 2
    got = pools.patch_pool(name, airflow.PoolPatchBody(pool=name, slots=5, include_deferred=True))
    assert got.slots == 5 and got.include_deferred and got.description == "cards", got
    assert pools.patch_pool(name, airflow.PoolPatchBody(pool=name, slots=6, include_deferred=False), update_mask=["slots"]).include_deferred
    with refused(422, "Field required"):
        pools.patch_pool(name, airflow.PoolPatchBody(slots=5))
    with refused(400, "Only slots and included_deferred"):
        pools.patch_pool("default_pool", airflow.PoolPatchBody(description="x"))
    assert pools.patch_pool("default_pool", airflow.PoolPatchBody(slots=64), update_mask=["slots"]).slots == 64
    with refused(400, "can't be deleted"):
        pools.delete_pool("default_pool")
    pools.delete_pool(name)
    for ask in (pools.get_pool, pools.delete_pool):
        with refused(404, "was not found"):
            ask(name)


@check
def _():
    """bulk_pools: several at once; where one is there already, none is made"""
    a, b = f"a-{TAG}", f"b-{TAG}"
    got = pools.bulk_pools(
        airflow.BulkBodyPoolBody.from_dict(
            {
                "actions": [
                    {"action": "create", "entities": [{"name": a, "slots": 1}, {"name": b, "slots": 2}]},
                    {"action": "create", "entities": [{"name": b, "slots": 2}, {"name": f"c-{TAG}", "slots": 2}]},
                    {"action": "update", "entities": [{"name": a, "slots": 4}]},
                ]
            }
        )
    )
    assert got.create.success == [a, b] and got.create.errors[0]["status_code"] == 409 and got.update.success == [a], got
    assert pools.get_pool(a).slots == 4 and pools.get_pools(pool_name_pattern=TAG).total_entries == 2
    assert pools.bulk_pools(airflow.BulkBodyPoolBody.from_dict({"actions": [{"action": "delete", "entities": [a, b]}]})).delete.success == [a, b]


# Several tasks


@check
def _():
    """bulk_task_instances: tasks of a run are noted and marked; what cannot be is said; none is made or deleted"""
    run.trigger_dag_run(BROKEN, body(dag_run_id=f"bulk-{TAG}"))
    until(lambda: instances.get_task_instance(BROKEN, f"bulk-{TAG}", "fetch_movies").state in ("up_for_retry", "failed"))
    got = instances.bulk_task_instances(
        BROKEN,
        f"bulk-{TAG}",
        airflow.BulkBodyBulkTaskInstanceBody.from_dict(
            {
                "actions": [
                    {"action": "update", "entities": [{"task_id": "fetch_movies", "new_state": "success", "note": "had them"}]},
                    {"action": "update", "entities": [{"task_id": "nope", "note": "x"}]},
                    {"action": "delete", "entities": ["fetch_movies"]},
                ]
            }
        ),
    )
    assert got.update.success == [f"{BROKEN}.bulk-{TAG}.fetch_movies[-1]"] and got.update.errors[0]["status_code"] == 404 and got.delete.errors[0]["status_code"] == 405, got
    assert instances.get_task_instance(BROKEN, f"bulk-{TAG}", "fetch_movies").note == "had them"
    assert ended(BROKEN, f"bulk-{TAG}") == "success"


# Backfills


@check
def _():
    """create_backfill_dry_run, create_backfill, get_backfill, list_backfills: runs of days that had none, the last first, by a conf"""

    def days(first, last, **fields):
        return airflow.BackfillPostBody(dag_id="daily", from_date=datetime(2024, 1, first, tzinfo=timezone.utc), to_date=datetime(2024, 1, last, tzinfo=timezone.utc), **fields)

    dry = backfills.create_backfill_dry_run(days(1, 4, run_backwards=True))
    assert [b.logical_date.day for b in dry.backfills] == [4, 3, 2, 1] and dry.total_entries == 4, dry
    made = backfills.create_backfill(days(1, 4, run_backwards=True, max_active_runs=1, dag_run_conf={"sleep": 0}))
    assert made.dag_id == "daily" and made.max_active_runs == 1 and made.reprocess_behavior == "none" and not made.is_paused and made.from_date.day == 1, made
    until(lambda: backfills.get_backfill(made.id).completed_at)
    got = run.get_dag_runs("daily", run_type=["backfill"], order_by=["start_date"])
    assert [r.logical_date.day for r in got.dag_runs] == [4, 3, 2, 1] and {r.state for r in got.dag_runs} == {"success"} and got.dag_runs[0].conf == {"sleep": "0"}, got
    assert backfills.create_backfill_dry_run(days(1, 4)).total_entries == 0
    assert backfills.create_backfill_dry_run(days(1, 4, reprocess_behavior="completed")).total_entries == 4
    assert [b.id for b in backfills.list_backfills(dag_id="daily").backfills] == [made.id]
    with refused(409, "already completed"):
        backfills.cancel_backfill(made.id)
    with refused(404, "Backfill not found"):
        backfills.get_backfill(made.id + 1)
    with refused(404, "Could not find dag nope"):
        backfills.create_backfill(airflow.BackfillPostBody(dag_id="nope", from_date=made.from_date, to_date=made.to_date))
    with refused(422, "non-periodic schedule"):
        backfills.create_backfill(airflow.BackfillPostBody(dag_id=QUICK, from_date=made.from_date, to_date=made.to_date))


@check
def _():
    """pause_backfill, unpause_backfill, cancel_backfill: nothing is asked for while it is paused, and what waits of a cancelled one fails"""
    dag.patch_dag("daily", airflow.DAGPatchBody(is_paused=True))  # so that its runs wait
    first, last = datetime(2024, 2, 1, tzinfo=timezone.utc), datetime(2024, 2, 9, tzinfo=timezone.utc)
    made = backfills.create_backfill(airflow.BackfillPostBody(dag_id="daily", from_date=first, to_date=last, max_active_runs=2))
    with refused(409, "already a running backfill"):
        backfills.create_backfill(airflow.BackfillPostBody(dag_id="daily", from_date=first, to_date=last))

    def asked():
        return run.get_dag_runs("daily", logical_date_gte=first, logical_date_lte=last).dag_runs

    until(lambda: len(asked()) == 2)
    assert backfills.pause_backfill(made.id).is_paused
    dag.patch_dag("daily", airflow.DAGPatchBody(is_paused=False))
    until(lambda: all(r.state == "success" for r in asked()))
    time.sleep(1)
    assert len(asked()) == 2, asked()
    dag.patch_dag("daily", airflow.DAGPatchBody(is_paused=True))
    assert not backfills.unpause_backfill(made.id).is_paused
    until(lambda: len(asked()) == 4)
    assert backfills.cancel_backfill(made.id).completed_at is not None
    states = sorted(r.state for r in asked())
    assert states == ["failed", "failed", "success", "success"], states
    with refused(409, "already completed"):
        backfills.unpause_backfill(made.id)
    dag.patch_dag("daily", airflow.DAGPatchBody(is_paused=False))


# What of it there is not

NOT_HERE = {
    "what a task has done and handed on is its own to say": "delete_task_instance create_xcom_entry update_xcom_entry delete_xcom_entry",
    "assets, which there are none of": "create_asset_event materialize_asset get_asset_queued_events delete_asset_queued_events get_dag_asset_queued_event get_dag_asset_queued_events"
    " delete_dag_asset_queued_event delete_dag_asset_queued_events clear_asset_state_store delete_asset_state_store get_asset_state_store list_asset_state_store set_asset_state_store",
    "stores of tasks, groups of tasks, people in the loop, partitions": "clear_task_state_store delete_task_state_store get_task_state_store list_task_state_store patch_task_state_store"
    " set_task_state_store patch_task_group_instances patch_task_group_instances_dry_run get_hitl_detail get_hitl_detail_try_detail get_hitl_details update_hitl_detail clear_dag_run_partitions",
    "pages for people of Airflow's": "favorite_dag unfavorite_dag login logout reparse_dag_file",
    "connections come from the configuration": "bulk_connections post_connection patch_connection delete_connection test_connection create_default_connections enqueue_connection_test get_connection_test",
}
not_here = {n for names in NOT_HERE.values() for n in names.split()}
for name in sorted(every - done - not_here):
    failed.append(name)
    print(f"FAILED  {name}: this file does not know it")
for name in sorted(not_here & done):
    failed.append(name)
    print(f"FAILED  {name}: it is there, and listed as not")
for why, names in NOT_HERE.items():
    print(f"-       {why}: {names}")
print(f"client  apache-airflow-client {importlib.metadata.version('apache-airflow-client')}: {len(done)} of its {len(every)} operations answered, {len(not_here)} are not here; {checks - len(failed)}/{checks} checks")
sys.exit(1 if failed else 0)
