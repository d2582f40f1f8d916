"""Searches two servers of MLflow's API for the same, and compares what they find, in order.

    filters.py REAL OURS [--seed N] [--searches N]

REAL is a server of MLflow on its SQL store, OURS the one that is to answer as it does. Both are given the same random experiments, runs,
data sets, models and versions, and asked with random filters, orders, views and sizes of pages, some of them malformed. Ids differ
between servers: things are told apart by their names, and of what is equal in an order each server must have its own ids ascending.
It prints each difference, and ends with 1 if there is any.
"""
import argparse
import json
import random
import re
import sys

import requests

args = argparse.ArgumentParser()
args.add_argument("real")
args.add_argument("ours")
args.add_argument("--seed", type=int, default=1)
args.add_argument("--searches", type=int, default=150)
args = args.parse_args()
R = random.Random(args.seed)
MARK = f"s{args.seed}x{random.randrange(10**9)}"  # of what this run makes
SERVERS = (args.real.rstrip("/"), args.ours.rstrip("/"))
sessions = [requests.Session() for _ in SERVERS]
ids = ({}, {})  # by server: names of this program's to ids of the server's
compared = differ = 0


def ask(which, method, path, body=None, params=None):
    def there(v):
        if isinstance(v, str) and v.startswith("$"):
            return ids[which][v]
        if isinstance(v, str):
            return re.sub("<([$][a-z]+[0-9]+)>", lambda m: ids[which][m[1]], v)  # in a filter
        if isinstance(v, list):
            return [there(i) for i in v]
        if isinstance(v, dict):
            return {k: there(i) for k, i in v.items()}
        return v

    r = sessions[which].request(method, f"{SERVERS[which]}/api/2.0/mlflow/{path}", json=there(body) if body is not None else None, params=there(params) if params else None)
    try:
        return r.status_code, r.json()
    except ValueError:
        return r.status_code, r.text


def make(path, body, name=None, pick=None):
    for which in (0, 1):
        status, answer = ask(which, "POST", path, body)
        if status != 200:
            sys.exit(f"{SERVERS[which]}: {path} {json.dumps(body)}: {status} {answer}")
        if name:
            ids[which][name] = pick(answer)


TEXTS = ["a", "b", "A", "a%", "_", "it''s", "it's", "", "한글", "Ä", "ä", "a b", "1", "10", '"', "\\", "\\%", "a\\"]
KEYS = ["k", "k k", "mlflow.x", "K"]
METRICS = ["m", "m/2", "loss"]


def tags():
    return [{"key": k, "value": R.choice(TEXTS)} for k in KEYS if R.random() < 0.55] + [{"key": "mark", "value": MARK}]


def fill():
    for i in range(9):
        make("experiments/create", {"name": f"{MARK}-{R.choice('aAb')}{i}", "tags": tags()}, f"$e{i}", lambda a: a["experiment_id"])
    for i in (1, 4):
        make("experiments/delete", {"experiment_id": f"$e{i}"})
    for i in range(26):
        user = R.choice(["u", "v"])  # clients send it twice
        make(
            "runs/create",
            {"experiment_id": R.choice(["$e0", "$e0", "$e2"]), "run_name": f"{R.choice('aAb')}{i}", "start_time": 1000 + R.randrange(3), "tags": tags() + [{"key": "mlflow.user", "value": user}], "user_id": user},
            f"$r{i}",
            lambda a: a["run"]["info"]["run_id"],
        )
        params = [{"key": k, "value": R.choice(TEXTS[:4] + TEXTS[7:])} for k in ("p", "p p") if R.random() < 0.6]
        metrics = [
            {"key": k, "value": R.choice([0, 1, 2, -1, 0.5, 1e308, 5e-324, "NaN", "Infinity", "-Infinity"]), "timestamp": R.randrange(3), "step": R.randrange(3)}
            for k in METRICS
            for _ in range(R.randrange(3))
        ]
        params = [p for p in params if p["value"] != ""]
        make("runs/log-batch", {"run_id": f"$r{i}", "params": params, "metrics": metrics})
        if R.random() < 0.5:
            make("runs/update", {"run_id": f"$r{i}", "status": R.choice(["FINISHED", "FAILED", "KILLED"]), "end_time": 2000 + R.randrange(3)})
        if R.random() < 0.4:
            sets = [
                {"dataset": {"name": R.choice("xyX"), "digest": str(d), "source_type": "code", "source": "s"}, "tags": [{"key": "mlflow.data.context", "value": R.choice(["train", "test"])}] if R.random() < 0.7 else []}
                for d in range(R.randrange(1, 3))
            ]
            make("runs/log-inputs", {"run_id": f"$r{i}", "datasets": sets})
        if R.random() < 0.15:
            make("runs/delete", {"run_id": f"$r{i}"})
    for i in range(9):
        make("registered-models/create", {"name": f"{MARK}-{R.choice('aAb')}{i}", "tags": tags()}, f"$m{i}", lambda a: a["registered_model"]["name"])
        for _ in range(R.randrange(4)):
            make("model-versions/create", {"name": f"$m{i}", "source": R.choice(["s3://b/x", "s3://B/y"]), "run_id": R.choice(["", f"$r{R.randrange(26)}"]), "tags": tags()})
    for i in range(10):
        make(
            "logged-models",
            {"experiment_id": "$e0", "name": f"{R.choice('aAb')}{i}", "model_type": R.choice(["", "x", "X"]), "source_run_id": R.choice(["", f"$r{R.randrange(26)}"]), "params": [{"key": "p", "value": R.choice(["1", "10", "a"])}] if R.random() < 0.6 else [], "tags": tags()},
            f"$l{i}",
            lambda a: a["model"]["info"]["model_id"],
        )


def quoted():
    v = R.choice(["a", "b", "A", "a%", "%a%", "_", "%", "it''s", "", MARK + "%", "%-A%", "%-a%", "한%", "Ä", "ä", "1", "10", "u", "true", "\\%", "\\", "%\\%%", "a b", "x", "train", "FINISHED", "RUNNING"])
    return R.choice(["'%s'"] * 5 + ['"%s"']) % v


def text(name, lists=False):
    op = R.choice(["=", "!=", "LIKE", "ILIKE"] * 4 + ["like", "ilike"] + ["IN", "NOT IN", "in", "not in"] * (4 if lists else R.random() < 0.05))
    if op.upper().endswith("IN"):
        return f"{name} {op} ({', '.join(quoted() for _ in range(R.randrange(1, 4)))})"
    space = R.choice([" ", " ", "  ", "" if op in ("=", "!=") else " "])
    return f"{name}{space}{op}{space}{quoted()}"


def number(name):
    return f"{name} {R.choice(['=', '!=', '<', '<=', '>', '>='])} {R.choice(['1', '2', '0', '-1', '1001', '2001', '0.5', '1e308', '1.5e3', '.5', '-0'])}"


def key(keys):
    k = R.choice(keys)
    return R.choice([f"`{k}`", f'"{k}"'] + ([k] if k.replace(".", "").isalnum() else []))


def tag(prefix="tags"):
    name = f"{prefix}.{key(KEYS + ['none'])}"
    if R.random() < 0.25:
        return f"{name} {R.choice(['IS NULL', 'IS NOT NULL', 'is null'])}"
    return text(name)


def run(name):
    a, b = (f"'<$r{R.randrange(26)}>'" for _ in "ab")
    return f"{name} {R.choice([f'= {a}', f'!= {a}', f'LIKE {a}', f'IN ({a}, {b})', f'NOT IN ({a},{b})', f'not in ({b})'])}"


def prompt():
    return f"tags.`mlflow.prompt.is_prompt` {R.choice(['=', '!='])} '{R.choice(['true', 'false'])}'"


def malformed():
    return R.choice(
        ["x", "name", "= 1", "metrics.m >", "metrics.m = 'a'", "params.p = 1", "tags.k > 'a'", "metrics.m LIKE 'a'", "attributes.nothing = 'a'", "nothing.k = 'a'", "(params.p = 'a')",
         "params.p = 'a' OR params.p = 'b'", "params.p = 'a", "metrics.m IS NULL", "status IS NULL", "run_id IN ()", "run_id IN ('a', 1)", "metrics.m = nan", "metrics.m = inf", "last_updated_timestamp > 1", "creation_timestamp > 1", "params.p = a",
         "tags.k IN ('a')", "params.p NOT IN ('a')", "AND", "params.p = 'a' AND", "params.p == 'a'", "params.p <> 'a'", "start_time > 'a'", "start_time LIKE 'a'", "dataset.source = 'x'", "name IN ('a')"]
    )


def both(*clauses):
    return R.choice([" AND ", " and ", "  AND "]).join(R.sample(clauses, R.randrange(1, min(3, len(clauses)) + 1)))


def pages(which, method, path, body, items):
    """All of a search, page by page; or that it was refused."""
    found, token = [], ""
    for _ in range(100):
        asked = dict(body, **({"page_token": token} if token else {}))
        status, answer = ask(which, method, path, asked) if method == "POST" else ask(which, method, path, None, asked)
        if status != 200:
            return "refused", answer
        found += answer.get(items, [])
        token = answer.get("next_page_token")
        if not token:
            return found, None
    return "no end", None


def compare(what, method, path, body, items, name, order=None, own=None):
    """order gives of an item what is the same on both servers that the list is ordered by, own an id of the server's."""
    global compared, differ
    compared += 1
    answers = [pages(which, method, path, body, items) for which in (0, 1)]
    seen = []
    for found, error in answers:
        if isinstance(found, str):
            seen.append(found)
        elif order is None:
            seen.append([name(i) for i in found])
        else:
            keys = [order(i) for i in found]
            for a, b in zip(found, found[1:]):
                if order(a) == order(b) and own(a) >= own(b):
                    keys.append(f"{name(a)} before {name(b)}")
            seen.append([keys, sorted(name(i) for i in found)])
    if seen[0] != seen[1]:
        differ += 1
        print(f"DIFFER {what} {json.dumps(body, ensure_ascii=False)}\n  real {str(seen[0])[:400]}\n  ours {str(seen[1])[:400]}")
        for found, error in answers:
            if error:
                print(f"  {str(error)[:300]}")


def experiments():
    f = both(tag(), tag("tag"), text("name"), text("attribute.name"), number("creation_time"), *([malformed()] if R.random() < 0.2 else []))
    if MARK not in f:
        f = f"tags.mark = '{MARK}' AND " + f
    body = {"filter": f, "max_results": R.choice([2, 3, 50]), "view_type": R.choice(["ALL", "ACTIVE_ONLY", "DELETED_ONLY"]), "order_by": R.choice([["name"], ["name DESC"], ["attribute.name ASC", "creation_time"], ["name", "name DESC"], ["tags.k"]])}
    compare("experiments", "POST", "experiments/search", body, "experiments", lambda e: e["name"])


def runs():
    f = both(
        tag(), text("params." + key(["p", "p p", "none"])), text("run_name"), text("attributes.status"), text("attribute.user_id"), text("attr.`run name`"), number("metrics." + key(METRICS)), number("metrics.m"), number("start_time"), number("attributes.end_time"),
        run("run_id"), text("dataset." + R.choice(["name", "digest", "context"]), True), "params." + key(["p", "none"]) + R.choice([" IS NULL", " IS NOT NULL"]), text("tags.mlflow.runName"), text("tags.`mlflow.user`"), *([malformed()] if R.random() < 0.25 else []))
    f = R.choice([f, f, f, ""])
    keys = R.sample(["metrics.m", "metrics.`m/2`", "metric.loss", "params.p", "params.`p p`", "tags.k", "tags.`k k`", "start_time", "end_time", "status", "attributes.run_name", "created", "user_id"], R.randrange(4))
    by = [k + R.choice(["", " ASC", " DESC", " desc"]) for k in keys]
    unique = R.random() < 0.5
    body = {"experiment_ids": R.choice([["$e0"], ["$e0", "$e2"], ["$e2"], ["$e1", "$e0"], []]), "filter": f, "order_by": by + ["run_name"] * (unique and "attributes.run_name" not in keys), "max_results": R.choice([1, 4, 7, 100]),
            "run_view_type": R.choice(["ALL", "ACTIVE_ONLY", "DELETED_ONLY"])}

    def order(r):
        data = {kind: {i["key"]: i["value"] for i in r["data"].get(kind, [])} for kind in ("metrics", "params", "tags")}
        got = []
        for k in keys:
            kind, _, name = k.partition(".")
            name = name.strip("`")
            where = data.get(kind)
            if kind.startswith("metric"):
                got.append(str(float(data["metrics"][name])) if name in data["metrics"] else "none")
                continue
            got.append(str(where.get(name)) if where is not None else str(r["info"].get({"created": "start_time"}.get(name or kind, name or kind))))
        return got + [r["info"]["start_time"]]

    name = lambda r: r["info"]["run_name"]
    if unique:
        compare("runs", "POST", "runs/search", body, "runs", name)
    else:
        compare("runs", "POST", "runs/search", body, "runs", name, order, lambda r: r["info"]["run_id"])


def models():
    f = both(f"name LIKE '{MARK}%'", tag(), prompt(), text("name"), *([malformed()] if R.random() < 0.2 else []))
    if f"name LIKE '{MARK}%'" not in f:  # each server has models of its own
        f += f" AND name LIKE '{MARK}%'"
    compare("models", "GET", "registered-models/search", {"filter": f, "order_by": R.choice([[], ["name"], ["name DESC"], ["name asc", "timestamp"], ["name", "name"]]), "max_results": R.choice([1, 3, 100])}, "registered_models", lambda m: m["name"])


def versions():
    f = both(f"name LIKE '{MARK}%'", tag(), prompt(), text("name", True), text("source_path"), number("version_number"), run("run_id"), *([malformed()] if R.random() < 0.2 else []))
    if f"name LIKE '{MARK}%'" not in f:  # each server has models of its own
        f += f" AND name LIKE '{MARK}%'"
    compare("versions", "GET", "model-versions/search", {"filter": f, "order_by": R.choice([["name", "version_number"], ["name DESC"], ["version_number DESC", "name"], ["version_number"]]), "max_results": R.choice([2, 5, 1000])}, "model_versions", lambda v: v["name"] + "/" + v["version"])


def logged():
    f = both(tag(), text("params.p", True), text("params.p"), text("name"), text("attributes.model_type"), number("creation_timestamp"), run("source_run_id"), *([malformed()] if R.random() < 0.2 else []))
    f = f.replace('"', "'")  # MLflow takes these for a part of the text; and a status it has as a number
    compare("logged models", "POST", "logged-models/search", {"experiment_ids": R.choice([["$e0"], ["$e0", "$e1"]]), "filter": R.choice([f, f, ""]), "order_by": R.choice([[{"field_name": "name"}], [{"field_name": "name", "ascending": False}], [{"field_name": "model_type", "ascending": R.random() < .5}, {"field_name": "name"}]]), "max_results": R.choice([1, 3, 100])}, "models", lambda m: m["info"]["name"])


fill()
for _ in range(args.searches):
    for search in (experiments, runs, runs, models, versions, logged):
        search()
print(f"seed {args.seed}: {compared} searches compared, {differ} differ")
sys.exit(differ > 0)
