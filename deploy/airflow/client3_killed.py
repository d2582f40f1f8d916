"""Kills a server (SIGKILL) while Airflow 3's client waits for a run and triggers others, starts it again, and checks that no run is lost
or doubled.

    python client3_killed.py URI READY COMMAND...

COMMAND serves URI with the workflow quick (client3.sh), and READY is an address that answers when it does. Exit status 1 if a check
failed.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid

import airflow_client.client as airflow
from airflow_client.client import api as apis
from airflow_client.client.exceptions import ApiException

URI, READY, COMMAND = sys.argv[1], sys.argv[2], sys.argv[3:]
TAG = uuid.uuid4().hex[:8]
RUNS = 60
token = None


def serve():
    process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(3000):
        try:
            urllib.request.urlopen(READY)
            return process
        except OSError:
            assert process.poll() is None, "the server has ended by itself"
            time.sleep(0.1)
    raise AssertionError("the server is not ready in time")


def client():
    return airflow.ApiClient(airflow.Configuration(host=URI, access_token=token, retries=False))


def trigger(run_id):
    return apis.DagRunApi(client()).trigger_dag_run("quick", airflow.TriggerDAGRunPostBody(logical_date=None, dag_run_id=run_id))


def pause(paused):
    apis.DAGApi(client()).patch_dag("quick", airflow.DAGPatchBody(is_paused=paused))


server = serve()
try:
    request = urllib.request.Request(URI + "/auth/token", data=b'{"username": "admin", "password": "admin"}', headers={"Content-Type": "application/json"})
    token = json.load(urllib.request.urlopen(request))["access_token"]
    pause(True)
    trigger(f"waited-{TAG}")
    heard, acknowledged = {}, set()

    def wait():
        try:
            heard["answer"] = apis.DagRunApi(client()).wait_dag_run_until_finished("quick", f"waited-{TAG}", 0.1)
        except Exception as e:  # noqa: BLE001
            heard["error"] = e

    def ask(of):
        for i in of:
            try:
                acknowledged.add(trigger(f"{i}-{TAG}").dag_run_id)
            except Exception:  # noqa: BLE001
                return

    threads = [threading.Thread(target=wait)] + [threading.Thread(target=ask, args=(range(k, RUNS, 4),)) for k in range(4)]
    for t in threads:
        t.start()
    asking = True
    while len(acknowledged) < RUNS // 4:
        assert asking, f"only {len(acknowledged)} of {RUNS} runs could be triggered"
        asking = any(t.is_alive() for t in threads[1:])
        time.sleep(0.001)
    server.send_signal(signal.SIGKILL)
    server.wait()
    for t in threads:
        t.join()
    assert "error" in heard, f"the wait has ended as if the run had: {heard}"
    print(f"ok      killed while one waits and {len(acknowledged)} of {RUNS} runs are triggered: the wait ends with {type(heard['error']).__name__}")

    server = serve()
    again = {"there": set(), "made": set()}
    for i in range(RUNS):
        try:
            again["made"].add(trigger(f"{i}-{TAG}").dag_run_id)
        except ApiException as e:
            assert e.status == 409, e
            again["there"].add(f"{i}-{TAG}")
    lost = acknowledged - again["there"]
    assert not lost, f"acknowledged, and not there: {lost}"
    runs = apis.DagRunApi(client())
    assert runs.get_dag_runs("quick", run_id_pattern=TAG, limit=1).total_entries == RUNS + 1
    print(f"ok      started again, the token is good still; the same ids again: {len(again['there'])} are there (409), {len(again['made'])} are new, {RUNS} in all")

    pause(False)
    said = str(runs.wait_dag_run_until_finished("quick", f"waited-{TAG}", 0.2))
    assert "success" in said, said
    for i in range(RUNS):
        runs.wait_dag_run_until_finished("quick", f"{i}-{TAG}", 0.2)
    assert runs.get_dag_runs("quick", run_id_pattern=TAG, state=["success"], limit=1).total_entries == RUNS + 1
    tries = [t.try_number for t in apis.TaskInstanceApi(client()).get_task_instances("quick", f"waited-{TAG}").task_instances]
    assert tries == [1, 1], tries
    print(f"ok      all {RUNS + 1} runs go on and end well, each task once")
finally:
    server.kill()
