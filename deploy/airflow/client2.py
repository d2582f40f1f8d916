"""Does every operation of Airflow's stable REST API v1 with Airflow's own client of version 2, and checks what each says.

  client2.py http://HOST:PORT/api/v1 USER PASSWORD [after]

With after it only looks whether what was set and deleted before is so still.

The server has the workflow client2.yaml. Each operation that the client has must be tried, and print its line; what is refused here is
refused as it should be. Exit status 1 where one is not as expected.
"""

import datetime
import importlib.metadata
import inspect
import re
import sys
import time
import traceback

import airflow_client.client as airflow
from airflow_client.client.api import (
    config_api, connection_api, dag_api, dag_run_api, dag_stats_api, dag_warning_api, dataset_api, event_log_api, import_error_api, monitoring_api, permission_api, plugin_api,
    pool_api, provider_api, role_api, task_instance_api, user_api, variable_api, x_com_api,
)  # fmt: skip
from airflow_client.client.model.clear_dag_run import ClearDagRun
from airflow_client.client.model.clear_task_instances import ClearTaskInstances
from airflow_client.client.model.connection import Connection
from airflow_client.client.model.create_dataset_event import CreateDatasetEvent
from airflow_client.client.model.dag import DAG
from airflow_client.client.model.dag_run import DAGRun
from airflow_client.client.model.list_dag_runs_form import ListDagRunsForm
from airflow_client.client.model.list_task_instance_form import ListTaskInstanceForm
from airflow_client.client.model.pool import Pool
from airflow_client.client.model.role import Role
from airflow_client.client.model.set_dag_run_note import SetDagRunNote
from airflow_client.client.model.set_task_instance_note import SetTaskInstanceNote
from airflow_client.client.model.update_dag_run_state import UpdateDagRunState
from airflow_client.client.model.update_task_instance import UpdateTaskInstance
from airflow_client.client.model.update_task_instances_state import UpdateTaskInstancesState
from airflow_client.client.model.update_task_state import UpdateTaskState
from airflow_client.client.model.user import User
from airflow_client.client.model.variable import Variable

MODULES = [config_api, connection_api, dag_api, dag_run_api, dag_stats_api, dag_warning_api, dataset_api, event_log_api, import_error_api, monitoring_api, permission_api,
           plugin_api, pool_api, provider_api, role_api, task_instance_api, user_api, variable_api, x_com_api]  # fmt: skip
D = "client2"
NOT_YET = {"pool_api"}  # operations that are tried where the server has them


class Session:
    """The client, and what was tried of it."""

    def __init__(self, host, user, password):
        self.client = airflow.ApiClient(airflow.Configuration(host=host, username=user, password=password))
        self.apis, self.operations = {}, {}
        for module in MODULES:
            name = module.__name__.split(".")[-1]
            (cls,) = [c for n, c in vars(module).items() if n.endswith("Api") and n.replace("Api", "").lower() == name.replace("_api", "").replace("_", "")]
            api = cls(self.client)
            for method, f in inspect.getmembers(cls, inspect.isfunction):
                if not method.startswith("_"):
                    self.apis[name + "." + method] = getattr(api, method)
                    self.operations[name + "." + method] = None

    def find(self, operation):
        (name,) = [n for n in self.apis if n.endswith("." + operation)] if "." not in operation else [operation]
        return name

    def do(self, operation, *args, **kwargs):
        """Calls an operation, and gives what it says."""
        name = self.find(operation)
        try:
            answer = self.apis[name](*args, **kwargs)
        except Exception as e:
            self.operations[name] = "FAILED: " + (str(e).strip().splitlines() or [repr(e)])[0]
            raise
        self.operations[name] = self.operations[name] or "done"
        return answer

    def refused(self, status, title, operation, *args, says="", only=False, **kwargs):
        """Calls an operation that must be refused with a status, a title and words; only: there is nothing else that it can say here."""
        name = self.find(operation)
        try:
            self.apis[name](*args, **kwargs)
        except airflow.ApiException as e:
            body = e.body.decode() if isinstance(e.body, bytes) else str(e.body)
            assert e.status == status, f"{name}: {e.status} {body}; want {status}"
            assert title in body and says in body, f"{name}: {body}; want {title!r}, {says!r}"
            if only:
                self.operations[name] = f"{status} {title}"
            return
        raise AssertionError(f"{name} was not refused")


def until(what, check, seconds=300):
    end = time.monotonic() + seconds
    while not (last := check()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not in {seconds} s")
        time.sleep(0.1)
    return last


def ids(collection, key):
    return [getattr(item, key) for item in collection]


def state(s, run, task):
    v = s.do("get_task_instance", D, run, task)
    return str(v.state) if v.state is not None else None


def dags(s):
    v = s.do("get_health")
    assert v.metadatabase.status.value == "healthy" and v.scheduler.status.value == "healthy", v
    assert s.do("get_version").version == "2.10.5"
    all_dags = s.do("get_dags", limit=100)
    assert {"client2", "movie_data_collection", "movie_training_pipeline"} <= set(ids(all_dags.dags, "dag_id")) and all_dags.total_entries == len(all_dags.dags)
    assert ids(s.do("get_dags", tags=["trial", "nope"]).dags, "dag_id") == [D]
    assert ids(s.do("get_dags", dag_id_pattern="LIENT", order_by="-dag_id", only_active=True).dags, "dag_id") == [D]
    few = s.do("get_dags", limit=1, offset=1, fields=["dag_id", "is_paused"], _check_return_type=False)
    assert len(few.dags) == 1 and few.total_entries == all_dags.total_entries
    s.refused(400, "Bad Request", "get_dags", order_by="nope", says="Ordering with 'nope' is disallowed")
    s.refused(400, "DAGSchema error", "get_dags", fields=["nope"])
    s.refused(404, "DAG not found", "get_dag", "nope", says="The DAG with dag_id: nope was not found")
    dag = s.do("get_dag", D)
    assert dag.description == "What Airflow's client is tried on" and ids(dag.tags, "name") == ["trial", "client"] and not dag.is_paused, dag
    details = s.do("get_dag_details", D)
    assert details.params["n"]["schema"]["maximum"] == 9 and details.timezone == "UTC" and details.catchup is False, details
    tasks = s.do("get_tasks", D)
    assert ids(tasks.tasks, "task_id") == ["again", "fetch", "last", "write"] and tasks.total_entries == 4
    assert ids(s.do("get_tasks", D, order_by="-task_id").tasks, "task_id") == ["write", "last", "fetch", "again"]
    write = s.do("get_task", D, "write")
    assert sorted(write.downstream_task_ids) == ["again", "fetch"] and write.operator_name == "watch_log" and write.trigger_rule.value == "all_success", write
    s.refused(404, "Task not found", "get_task", D, "nope")
    assert "name: client2" in s.do("get_dag_source", dag.file_token).content
    s.refused(404, "Dag source not found", "get_dag_source", "nope")
    s.do("reparse_dag_file", dag.file_token)
    s.refused(404, "File not found", "reparse_dag_file", "nope")
    assert s.do("patch_dag", D, DAG(is_paused=True), update_mask=["is_paused"]).is_paused
    assert ids(s.do("get_dags", paused=True).dags, "dag_id") == [D]
    many = s.do("patch_dags", "client", DAG(is_paused=False))
    assert ids(many.dags, "dag_id") == [D] and not many.dags[0].is_paused and not s.do("get_dag", D).is_paused
    s.refused(404, "Dag with id: 'nope' not found", "patch_dag", "nope", DAG(is_paused=True))


def runs(s):
    s.refused(404, "DAG not found", "post_dag_run", "nope", DAGRun())
    s.refused(400, "Bad Request", "post_dag_run", D, DAGRun(conf={"n": 10}), says="conf.n")
    run = s.do("post_dag_run", D, DAGRun(dag_run_id="c1", conf={"n": 2}))
    assert run.dag_run_id == "c1" and run.run_type == "manual" and run.external_trigger and run.conf == {"n": "2"}, run
    s.refused(409, "Conflict", "post_dag_run", D, DAGRun(dag_run_id="c1"), says="already exists")
    ended = until("the run ends", lambda: (v := s.do("get_dag_run", D, "c1")) and v.state.value in ("success", "failed") and v)
    assert ended.state.value == "failed" and ended.end_date > ended.start_date, ended
    when = datetime.datetime(2024, 5, 17, 6, tzinfo=datetime.timezone.utc)
    dated = s.do("post_dag_run", D, DAGRun(logical_date=when))
    assert dated.logical_date == when and dated.dag_run_id == "manual__2024-05-17T06:00:00.000000+00:00", dated
    s.refused(404, "DAGRun not found", "get_dag_run", D, "nope", says="DAGRun with DAG ID: 'client2' and DagRun ID: 'nope' not found")
    until("the dated run ends", lambda: s.do("get_dag_run", D, dated.dag_run_id).state.value == "failed")
    both = s.do("get_dag_runs", D, order_by="execution_date")
    assert ids(both.dag_runs, "dag_run_id") == [dated.dag_run_id, "c1"] and both.total_entries == 2
    assert ids(s.do("get_dag_runs", "~", execution_date_lte=when, state=["failed", "running"]).dag_runs, "dag_run_id") == [dated.dag_run_id]
    assert ids(s.do("get_dag_runs", D, limit=1, offset=1, order_by="-id").dag_runs, "dag_run_id") == ["c1"]
    assert s.do("get_dag_runs", "nope").total_entries == 0
    s.refused(400, "Bad Request", "get_dag_runs", D, order_by="nope", says="Ordering with 'nope'")
    assert ids(s.do("get_dag_runs_batch", ListDagRunsForm(dag_ids=[D], states=["failed"], order_by="-dag_run_id", page_limit=1)).dag_runs, "dag_run_id") == [dated.dag_run_id]
    assert s.do("set_dag_run_note", D, "c1", SetDagRunNote(note="by the client")).note == "by the client"
    s.refused(404, "Dag Run id nope not found in dag client2", "set_dag_run_note", D, "nope", SetDagRunNote(note="x"))
    assert s.do("dag_run_api.get_upstream_dataset_events", D, "c1").total_entries == 0
    assert s.do("dataset_api.get_upstream_dataset_events", D, "c1").total_entries == 0
    (stats,) = s.do("get_dag_stats", D).dags
    assert {str(getattr(x.state, "value", x.state)): x.count for x in stats.stats} == {"queued": 0, "running": 0, "success": 0, "failed": 2}, stats
    return dated.dag_run_id


def tasks(s, dated):
    assert [state(s, "c1", t) for t in ("write", "again", "fetch", "last")] == ["success", "success", "failed", "upstream_failed"]
    s.refused(404, "Task instance not found", "get_task_instance", D, "c1", "nope")
    of_run = s.do("get_task_instances", D, "c1")
    assert ids(of_run.task_instances, "task_id") == ["write", "again", "fetch", "last"] and of_run.total_entries == 4
    failed = s.do("get_task_instances", D, "~", state=["failed"])
    assert {(t.dag_run_id, t.task_id) for t in failed.task_instances} == {("c1", "fetch"), (dated, "fetch")}, failed
    assert s.do("get_task_instances", "~", "c1", pool=["default_pool"], queue=["default"], duration_gte=0.0).total_entries == 3
    assert s.do("get_task_instances", D, "nope").total_entries == 0
    batch = s.do("get_task_instances_batch", ListTaskInstanceForm(dag_ids=[D], dag_run_ids=["c1"], task_ids=["write", "last"], page_offset=1))
    assert ids(batch.task_instances, "task_id") == ["last"] and batch.total_entries == 2, batch
    assert s.do("set_task_instance_note", D, "c1", "fetch", SetTaskInstanceNote(note="no variable")).note == "no variable"
    log = s.do("get_log", D, "c1", "fetch", 1, full_content=True)
    assert "client2_pages" in log.content, log
    s.refused(404, "", "get_log", D, "c1", "nope", 1)
    assert ids(s.do("get_task_instance_tries", D, "c1", "fetch").task_instances, "try_number") == [1]
    tried = s.do("get_task_instance_try_details", D, "c1", "write", 1)
    assert tried.state.value == "success" and tried.start_date <= tried.end_date, tried
    s.refused(404, "Task instance not found", "get_task_instance_try_details", D, "c1", "write", 9)
    assert s.do("get_task_instance_dependencies", D, "c1", "write").dependencies == []
    assert s.do("get_extra_links", D, "c1", "write", _check_return_type=False) is not None
    for operation, args in {
        "get_mapped_task_instance": (D, "c1", "write", 0), "get_mapped_task_instance_dependencies": (D, "c1", "write", 0), "get_mapped_task_instance_tries": (D, "c1", "write", 0),
        "get_mapped_task_instance_try_details": (D, "c1", "write", 0, 1), "set_mapped_task_instance_note": (D, "c1", "write", 0, SetTaskInstanceNote(note="x")),
    }.items():  # fmt: skip
        s.refused(404, "Task instance not found", operation, *args, only=True)
    update = UpdateTaskInstance(new_state=UpdateTaskState("success"))
    s.refused(404, "Task instance not found", "patch_mapped_task_instance", D, "c1", "write", 0, update_task_instance=update, only=True)
    s.refused(404, "Task id write is not mapped", "get_mapped_task_instances", D, "c1", "write", only=True)
    entries = s.do("get_xcom_entries", D, "c1", "write")
    assert "return_value" in ids(entries.xcom_entries, "key") and "rows" in ids(entries.xcom_entries, "key"), entries
    assert s.do("get_xcom_entries", D, "~", "~", xcom_key="return_value").total_entries == 4
    assert s.do("get_xcom_entry", D, "c1", "write", "rows").value.isdigit()
    assert s.do("get_xcom_entry", D, "c1", "write", "return_value").value.startswith("{'")
    s.refused(404, "XCom entry not found", "get_xcom_entry", D, "c1", "write", "nope")
    s.refused(400, "Bad Request", "get_xcom_entry", D, "c1", "write", "rows", deserialize=True, says="XCom deserialization is disabled")


def variables(s):
    assert s.do("post_variables", Variable(key="client2_pages", value="1", description="of each list")).value == "1"
    assert s.do("get_variable", "client2_pages").description == "of each list"
    assert s.do("patch_variable", "client2_pages", Variable(key="client2_pages", value="2"), update_mask=["value"]).value == "2"
    s.do("post_variables", Variable(key="other", value="x"))
    listed = s.do("get_variables", order_by="-key", limit=1)
    assert ids(listed.variables, "key") == ["other"] and listed.total_entries == 2
    s.do("delete_variable", "other")
    s.refused(404, "Variable not found", "get_variable", "other", says="Variable does not exist")
    s.refused(404, "Variable not found", "delete_variable", "other")
    s.refused(400, "Invalid post body", "patch_variable", "client2_pages", Variable(key="other", value="2"))


def steering(s, dated):
    dry = s.do("post_clear_task_instances", D, ClearTaskInstances(dry_run=True, dag_run_id="c1"))
    assert ids(dry.task_instances, "task_id") == ["fetch", "last"], dry
    s.do("post_clear_task_instances", D, ClearTaskInstances(dry_run=False, only_failed=False, dag_run_id="c1", task_ids=["fetch"], include_downstream=True, reset_dag_runs=True))
    until("the run ends again", lambda: s.do("get_dag_run", D, "c1").state.value == "failed")
    assert ids(s.do("get_task_instance_tries", D, "c1", "fetch").task_instances, "try_number") == [1, 2]
    assert "TMDB_API_KEY" in s.do("get_log", D, "c1", "fetch", 2).content
    marked = s.do("patch_task_instance", D, "c1", "fetch", UpdateTaskInstance(dry_run=True, new_state=UpdateTaskState("success")))
    assert marked.task_id == "fetch" and state(s, "c1", "fetch") == "failed"
    s.do("patch_task_instance", D, "c1", "fetch", UpdateTaskInstance(dry_run=False, new_state=UpdateTaskState("success")))
    until("the run succeeds", lambda: s.do("get_dag_run", D, "c1").state.value == "success")
    assert state(s, "c1", "last") == "success"
    set_state = s.do("post_set_task_instances_state", D, UpdateTaskInstancesState(
        dry_run=False, task_id="fetch", dag_run_id=dated, new_state=UpdateTaskState("skipped"), include_upstream=False, include_downstream=False, include_future=False, include_past=False))  # fmt: skip
    assert ids(set_state.task_instances, "task_id") == ["fetch"] and state(s, dated, "fetch") == "skipped"
    until("the dated run ends", lambda: s.do("get_dag_run", D, dated).state.value == "success")
    failed = s.do("update_dag_run_state", D, s.do("post_dag_run", D, DAGRun(dag_run_id="c3")).dag_run_id, UpdateDagRunState(state="failed"))
    assert failed.state.value == "failed", failed
    s.refused(404, "Dag Run id nope not found in dag client2", "update_dag_run_state", D, "nope", UpdateDagRunState(state="failed"))
    assert len(s.do("clear_dag_run", D, "c1", ClearDagRun(dry_run=True), _check_return_type=False)["task_instances"]) == 4
    again = s.do("clear_dag_run", D, "c1", ClearDagRun(dry_run=False), _check_return_type=False)
    assert again["dag_run_id"] == "c1"
    s.refused(409, "Conflict", "delete_dag", D, says="are still running")
    until("the run ends a third time", lambda: s.do("get_dag_run", D, "c1").state.value == "failed")


def lists(s):
    logs = s.do("get_event_logs", dag_id=D, limit=1000)
    events = ids(logs.event_logs, "event")
    assert logs.total_entries == len(events)
    for name in ("workflow.defined", "api.patch_dag", "api.post_dag_run", "running", "success", "failed", "api.set_dag_run_note", "api.set_task_instance_note",
                 "api.post_clear_task_instances", "api.post_set_task_instances_state", "api.update_dag_run_state"):  # fmt: skip
        assert name in events, (name, events)
    mine = s.do("get_event_logs", run_id="c1", owner="admin", order_by="-event_log_id", limit=1)
    assert mine.event_logs[0].run_id == "c1" and mine.event_logs[0].event == "api.post_clear_task_instances", mine
    one = s.do("get_event_log", mine.event_logs[0].event_log_id)
    assert one.owner == "admin" and "fetch" in one.extra, one
    only = s.do("get_event_logs", included_events="variable.edit,variable.delete", excluded_events="variable.delete")
    assert set(ids(only.event_logs, "event")) == {"variable.edit"}, only
    assert s.do("get_event_logs", after=datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)).total_entries == 0
    s.refused(404, "Event Log not found", "get_event_log", 99999999)
    assert s.do("get_import_errors").total_entries == 0
    s.refused(404, "Import error not found", "get_import_error", 99999, only=True)
    assert s.do("get_dag_warnings").total_entries == 0 and s.do("get_plugins").total_entries == 0 and s.do("get_providers", _check_return_type=False) is not None
    s.refused(403, "Forbidden", "get_config", says="chose not to expose", only=True)
    s.refused(403, "Forbidden", "get_value", "core", "parallelism", only=True)
    assert s.do("get_datasets").total_entries == 0 and s.do("get_dataset_events").total_entries == 0
    s.refused(404, "Dataset not found", "get_dataset", "s3://films", only=True)
    s.refused(404, "Dataset not found", "create_dataset_event", CreateDatasetEvent(dataset_uri="s3://films"), only=True)
    for operation, args in {
        "get_dag_dataset_queued_event": (D, "s3://films"), "get_dag_dataset_queued_events": (D,), "get_dataset_queued_events": ("s3://films",),
        "delete_dag_dataset_queued_event": (D, "s3://films"), "delete_dag_dataset_queued_events": (D,), "delete_dataset_queued_events": ("s3://films",),
    }.items():  # fmt: skip
        s.refused(404, "Queue event not found", operation, *args, only=True)


def access(s, host):
    reached = s.do("get_connections", order_by="connection_id")
    assert "tmdb" in ids(reached.connections, "connection_id"), reached
    assert "themoviedb" in s.do("get_connection", "tmdb").host
    s.refused(404, "Connection not found", "get_connection", "nope")
    c = Connection(connection_id="x", conn_type="http")
    for operation, args in {"post_connection": (c,), "patch_connection": ("tmdb", c), "delete_connection": ("tmdb",)}.items():
        s.refused(403, "Forbidden", operation, *args, says="configured", only=True)
    s.refused(403, "disabled", "test_connection", c, only=True)
    assert ids(s.do("get_users").users, "username") == ["admin"] and s.do("get_user", "admin").active
    s.refused(404, "User not found", "get_user", "nope")
    assert ids(s.do("get_roles").roles, "name") == ["Admin"] and s.do("get_role", "Admin").name == "Admin"
    assert "can_read" in ids(s.do("get_permissions").actions, "name")
    u, r = User(username="x", email="x@example.com", first_name="x", last_name="y", password="z"), Role(name="x")
    for operation, args in {"post_user": (u,), "patch_user": ("admin", u), "delete_user": ("admin",), "post_role": (r,), "patch_role": ("Admin", r), "delete_role": ("Admin",)}.items():
        s.refused(403, "Forbidden", operation, *args, says="configured", only=True)
    wrong = Session(host, "admin", "wrong")
    wrong.refused(401, "Unauthorized", "get_dags", says="Unauthenticated")
    wrong.refused(401, "Unauthorized", "post_dag_run", D, DAGRun())
    assert s.do("get_dag_runs", D).total_entries == 3


def pools(s):
    try:
        s.apis["pool_api.get_pools"]()
    except airflow.ApiException as e:
        if e.status == 404:
            return
        raise
    NOT_YET.discard("pool_api")
    assert "default_pool" in ids(s.do("get_pools").pools, "name")
    assert s.do("get_pool", "default_pool").slots > 0
    assert s.do("post_pool", Pool(name="client2", slots=3)).open_slots == 3
    s.refused(409, "Conflict", "post_pool", Pool(name="client2", slots=1), says="already exists")
    assert s.do("patch_pool", "client2", Pool(name="client2", slots=5)).slots == 5
    s.do("delete_pool", "client2")
    s.refused(404, "", "get_pool", "client2")
    s.refused(400, "Bad Request", "delete_pool", "default_pool")


def deleting(s, dated):
    for run in ("c1", "c3", dated):
        s.do("delete_dag_run", D, run)
    s.refused(404, "Not Found", "delete_dag_run", D, "c1", says="not found")
    s.refused(404, "DAGRun not found", "get_dag_run", D, "c1")
    assert s.do("get_dag_runs", D).total_entries == 0 and s.do("get_task_instances", D, "~").total_entries == 0
    assert s.do("post_dag_run", D, DAGRun(dag_run_id="c1")).state.value in ("queued", "running")
    until("a run under an id of before ends", lambda: s.do("get_dag_run", D, "c1").state.value == "failed")
    s.do("delete_dag", D)
    until("runs of films end", lambda: s.do("get_dag_runs", "movie_data_collection", state=["queued", "running"]).total_entries == 0)
    s.do("delete_dag", "movie_data_collection")
    s.refused(404, "DAG not found", "get_dag", D)
    s.refused(404, "Dag with id: 'client2' not found", "delete_dag", D)
    s.refused(404, "DAG not found", "post_dag_run", D, DAGRun())


def after(s):
    assert {"client2", "movie_data_collection"}.isdisjoint(ids(s.do("get_dags").dags, "dag_id"))
    assert s.do("get_variable", "client2_pages").value == "2"
    assert ids(s.do("get_dag_runs", D).dag_runs, "dag_run_id") == ["c1"]
    logs = ids(s.do("get_event_logs", dag_id=D, limit=1000).event_logs, "event")
    assert logs.count("api.delete_dag_run") == 3 and logs.count("api.delete_dag") == 1, logs
    print("what was set and deleted is so still")


def main(host, user, password, again=None):
    s = Session(host, user, password)
    if again:
        return after(s)
    failures = []
    dated = None

    def part(name, f, *args):
        try:
            return f(*args)
        except Exception:
            failures.append(name)
            print(f"FAILED {name}\n" + "".join(traceback.format_exc(limit=-3)))

    part("DAGs", dags, s)
    dated = part("runs", runs, s)
    part("tasks", tasks, s, dated)
    part("variables", variables, s)
    part("steering", steering, s, dated)
    part("lists", lists, s)
    part("access", access, s, host)
    part("pools", pools, s)
    part("deleting", deleting, s, dated)
    tried, wanted = 0, 0
    for name, what in sorted(s.operations.items()):
        api = name.split(".")[0]
        if what is None and api in NOT_YET:
            what = "not tried: the server has none"
        else:
            wanted += 1
            tried += what is not None and not what.startswith("FAILED")
        print(f"{name:<60} {what or 'FAILED: it was not tried'}")
    print(f"{tried}/{wanted} operations of apache-airflow-client {importlib.metadata.version('apache-airflow-client')}")
    return 1 if failures or tried != wanted else 0


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or sys.argv[4:] not in ([], ["after"]) or not re.match(r"https?://", sys.argv[1]):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
