"""Joins random histories by Feast's own offline store (duckdb) and by Projectionist through Feast's unmodified remote offline store, and compares every value, to the bit.

usage: offline.py MAIN FLIGHT [ROUNDS]     with the addresses of a program with films 1 to 9, such as 127.0.0.1:8000 127.0.0.1:8815; offline.sh starts one

What Feast joins is made here, from the same facts, by a few lines that know nothing of the program: after each fact a row of what is known of the person or the film,
with the order in which the facts were recorded as its created timestamp. Both sides then see the same: a value of the last moment at or before the row's own time, not older
than the view's ttl, inclusive at both ends; of one moment the row that was created last; a naive time as UTC. Facts come late, twice, at the same moment, and corrected.
"""

import io
import json
import random
import sys
import tempfile
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64

DAY0 = datetime(2024, 3, 1, tzinfo=timezone.utc)
TTL = timedelta(days=2)
FEATURES = {"interactions": ("count", Int64), "clicks": ("count", Int64), "ratings": ("rating_count", Int64), "mean": ("mean", Float64)}
VIEWS = {f"{entity}_{name}": (entity, ttl) for entity in ("user", "movie") for name, ttl in (("always", timedelta(0)), ("lately", TTL))}


def post(main, path, body, kind="application/json", key=None):
    headers = {"Content-Type": kind, **({"Idempotency-Key": key} if key else {})}
    with urllib.request.urlopen(urllib.request.Request(f"http://{main}{path}", body.encode(), headers)) as res:
        return json.load(res)


def definitions():
    lines = ["entities:", "  - {name: user, join_key: user_id}", "  - {name: movie, join_key: movie_id}", "feature_views:"]
    for view, (entity, ttl) in VIEWS.items():
        lines += [f"  - name: {view}", f"    entity: {entity}", f"    ttl: {f'{ttl.days}d' if ttl else 0}", "    features:"]
        for name, (aggregation, _) in FEATURES.items():
            kinds = ", kinds: [click]" if name == "clicks" else ""
            lines.append(f"      - {{name: {name}, aggregation: {aggregation}{kinds}}}")
    return "\n".join(lines) + "\n"


def history(rng, round):
    """Random facts in the order in which they are recorded, of people whom no other round has."""
    facts, moments = [], [DAY0 + timedelta(milliseconds=rng.randrange(10 * 86_400_000)) for _ in range(60)]
    for _ in range(200):
        fact = {"user_id": str(1000 * (round + 1) + rng.randrange(6)), "movie_id": str(1 + rng.randrange(9)), "interaction_type": rng.choice(["click", "view", "rating", "rating"])}
        fact["timestamp"] = rng.choice(moments).isoformat(timespec="milliseconds")
        if fact["interaction_type"] == "rating":
            fact["rating"] = rng.randrange(1, 11) / 2
        if facts and rng.random() < 0.2:  # again, or corrected
            fact = dict(rng.choice(facts))
            if "rating" in fact:
                fact["rating"] = rng.randrange(1, 11) / 2
        facts.append(fact)
    return facts


def table(facts, key):
    """What is known of each entity after each fact, of the moments up to the fact's own, as a source of Feast's has it."""
    rows = []
    for entity in sorted({f[key] for f in facts}):
        own = [(i, f) for i, f in enumerate(facts) if f[key] == entity]
        for moment in sorted({f["timestamp"] for _, f in own}):
            for recorded in [i for i, f in own if f["timestamp"] == moment]:
                counted = {}  # of several ratings of one person, film and moment the one that was recorded last counts
                for i, f in own:
                    if f["timestamp"] < moment or f["timestamp"] == moment and i <= recorded:
                        counted[(f["user_id"], f["movie_id"], f["timestamp"]) if "rating" in f else i] = f
                ratings = [f["rating"] for f in counted.values() if "rating" in f]
                rows.append({key: int(entity), "event_timestamp": pd.Timestamp(moment), "created": DAY0 + timedelta(days=100, seconds=recorded), "interactions": len(counted),
                             "clicks": sum(f["interaction_type"] == "click" for f in counted.values()), "ratings": len(ratings), "mean": sum(ratings) / len(ratings) if ratings else None})
    frame = pd.DataFrame(rows)
    return frame.astype({"mean": "float64"})


def rows(rng, facts):
    """Entity rows at, before and behind the moments of facts and of their ends, and at others; in no order, with a label."""
    out = []
    for n in range(400):
        at = datetime.fromisoformat(rng.choice(facts)["timestamp"]) + rng.choice([timedelta(0), TTL]) + timedelta(milliseconds=rng.choice([-1, 0, 0, 1]))
        if rng.random() < 0.2:
            at = DAY0 + timedelta(seconds=rng.randrange(-86_400, 15 * 86_400))
        person = int(rng.choice(facts)["user_id"]) if rng.random() < 0.9 else 999_999
        out.append({"user_id": person, "movie_id": 1 + rng.randrange(9), "event_timestamp": at, "row": n, "label": rng.random()})
    frame = pd.DataFrame(out)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True).astype("datetime64[ns, UTC]")
    return frame


def repository(folder, offline, sources):
    store = FeatureStore(config=RepoConfig(project="projectionist", provider="local", registry=str(folder / "registry.db"), offline_store=offline,
                                           online_store={"type": "sqlite", "path": str(folder / "online.db")}, entity_key_serialization_version=3))
    entities = {e: Entity(name=e, join_keys=[f"{e}_id"], value_type=ValueType.INT64) for e in ("user", "movie")}
    fields = [Field(name=name, dtype=dtype) for name, (_, dtype) in FEATURES.items()]
    views = [FeatureView(name=view, entities=[entities[entity]], ttl=ttl, schema=[Field(name=f"{entity}_id", dtype=Int64), *fields],
                         source=FileSource(name=view, path=str(sources[entity]), timestamp_field="event_timestamp", created_timestamp_column="created"))
             for view, (entity, ttl) in VIEWS.items()]
    store.apply([*entities.values(), *views])
    return store


def joined(store, frame):
    refs = [f"{view}:{name}" for view in VIEWS for name in FEATURES]
    return store.get_historical_features(entity_df=frame, features=refs, full_feature_names=True).to_arrow()


def in_parquet(main, frame):
    """The same join by POST /api/v1/features/historical, in Parquet both ways."""
    body = io.BytesIO()
    frame.to_parquet(body, index=False)
    refs = ",".join(f"{view}:{name}" for view in VIEWS for name in FEATURES)
    request = urllib.request.Request(f"http://{main}/api/v1/features/historical?full_feature_names=true&features={refs}", body.getvalue(), {"Content-Type": "application/vnd.apache.parquet"})
    with urllib.request.urlopen(request) as res:
        return pa.parquet.read_table(io.BytesIO(res.read()))


def values(answer, names):
    """The values by row: None where there is none, numbers to the bit. Without a fact Feast has no row, and a film of the catalogue has counts of 0 here."""
    order = pa.compute.sort_indices(answer["row"])
    out = {}
    for name in names:
        column = answer[name].take(order)
        out[name] = [None if v is None or v != v else float(v).hex() for v in column.to_pylist()]
    return out


def main(main, flight, rounds):
    host, _, port = flight.partition(":")
    post(main, "/api/v1/features/definitions", definitions(), "application/yaml")
    names = [f"{view}__{name}" for view in VIEWS for name in FEATURES]
    compared = present = 0
    everything = []  # films have the facts of all rounds
    for round in range(rounds):
        rng = random.Random(round)
        facts = history(rng, round)
        for n, f in enumerate(facts):
            for _ in range(rng.choice([1, 1, 2])):  # sent twice under one key it is one fact
                post(main, "/api/v1/events/user-interaction", json.dumps(f), key=f"{round}-{n}")
        everything += facts
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            sources = {"user": folder / "user.parquet", "movie": folder / "movie.parquet"}
            table(everything, "user_id").to_parquet(sources["user"])
            table(everything, "movie_id").to_parquet(sources["movie"])
            for side in ("theirs", "ours"):
                (folder / side).mkdir()
            theirs = repository(folder / "theirs", {"type": "duckdb"}, sources)
            ours = repository(folder / "ours", {"type": "remote", "host": host, "port": int(port)}, sources)
            frame = rows(rng, facts)
            a, b = joined(theirs, frame), joined(ours, frame)
            if b["row"].to_pylist() != frame["row"].tolist() or b["label"].to_pylist() != frame["label"].tolist():
                sys.exit(f"round {round}: the rows are not in their order, or not as they were")
            want, got = values(a, names), values(b, names)
            ordered = frame.sort_values("row")
            for name in names:
                for n, (x, y) in enumerate(zip(want[name], got[name], strict=True)):
                    if x is None and y == (0.0).hex() and name.startswith("movie"):
                        continue  # a film that is in the catalogue, and of which nobody has done anything yet
                    compared += 1
                    present += x is not None
                    if x != y:
                        sys.exit(f"round {round}, {name} of\n{ordered.iloc[n]}\nFeast says {x}, Projectionist {y}")
            naive = frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))
            if values(joined(ours, naive), names) != got:
                sys.exit(f"round {round}: times without a zone are not taken as UTC")
            if values(in_parquet(main, frame), names) != got:
                sys.exit(f"round {round}: in Parquet the values are others")
    if present < compared / 4:
        sys.exit(f"only {present} of {compared} values are there: the histories do not try it")
    print(f"{rounds} random histories: {compared:,} values are those of Feast's join, {present:,} of them present")


if __name__ == "__main__":  # `feast apply` imports every file of the folder
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10)
