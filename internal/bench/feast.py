"""Feast's side of the bench: one request a line on stdin, one answer a line on stdout, both JSON.

A view is of films, by movie_id, and has the float features f0, f1, …; feature k of film i is ((i * 7919 + k * 104729) % 1000003) / 8.
"""
import importlib.metadata
import json
import os
import sys
import time
import warnings
from datetime import datetime, timedelta, timezone

warnings.filterwarnings("ignore")
os.environ["FEAST_USAGE"] = "False"

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Float64, Int64

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def frame(first, count, features):
    films = np.arange(first, first + count)
    columns = {f"f{k}": (films * 7919 + k * 104729) % 1000003 / 8 for k in range(features)}
    return pd.DataFrame({"movie_id": films, "event_timestamp": AT, **columns})


def repo(folder, views):
    """Makes a repository with an online store in SQLite, and fills each view: name to its number of films and of features."""
    with open(os.path.join(folder, "feature_store.yaml"), "w") as f:
        f.write("project: bench\nprovider: local\nregistry: registry.db\nonline_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n")
    store = FeatureStore(repo_path=folder)
    film = Entity(name="movie", join_keys=["movie_id"], value_type=ValueType.INT64)
    things = [film]
    for name, (_, features) in views.items():
        frame(1, 1, features).to_parquet(os.path.join(folder, name + ".parquet"))
        source = PushSource(name=name + "_push", batch_source=FileSource(name=name, path=os.path.join(folder, name + ".parquet"), timestamp_field="event_timestamp"))
        schema = [Field(name="movie_id", dtype=Int64)] + [Field(name=f"f{k}", dtype=Float64) for k in range(features)]
        things.append(FeatureView(name=name, entities=[film], ttl=timedelta(0), schema=schema, source=source))
    store.apply(things)
    took, rows = 0.0, 0
    for name, (films, features) in views.items():
        chunk = max(1, 500_000 // features)
        for first in range(1, films + 1, chunk):
            df = frame(first, min(chunk, films + 1 - first), features)
            began = time.perf_counter()
            store.write_to_online_store(name, df=df)
            took, rows = took + time.perf_counter() - began, rows + len(df)
    return {"seconds": took, "rows": rows}


def join(folder, store, users, facts, rows, features):
    """Seconds of a point-in-time join of rows of people with features, of which there are so many rows."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    path = os.path.join(folder, f"people-{facts}.parquet")
    if not os.path.exists(path):
        columns = {f"f{k}": rng.random(facts) for k in range(features)}
        times = AT - pd.to_timedelta(rng.integers(0, 730 * 86400, facts), unit="s")
        pd.DataFrame({"user_id": rng.integers(1, users + 1, facts), "event_timestamp": times, **columns}).to_parquet(path)
    fs = FeatureStore(config=RepoConfig(project="bench", provider="local", registry=os.path.join(folder, f"{store}.db"), offline_store={"type": store},
                                        online_store={"type": "sqlite", "path": os.path.join(folder, "online.db")}, entity_key_serialization_version=3))
    person = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    schema = [Field(name="user_id", dtype=Int64)] + [Field(name=f"f{k}", dtype=Float64) for k in range(features)]
    fs.apply([person, FeatureView(name="people", entities=[person], ttl=timedelta(0), schema=schema, source=FileSource(name="people", path=path, timestamp_field="event_timestamp"))])
    times = pd.Series(AT - pd.to_timedelta(rng.integers(0, 730 * 86400, rows), unit="s")).astype("datetime64[ns, UTC]")
    asked = pd.DataFrame({"user_id": rng.integers(1, users + 1, rows), "event_timestamp": times})
    began = time.perf_counter()
    table = fs.get_historical_features(entity_df=asked, features=[f"people:f{k}" for k in range(features)]).to_arrow()
    took = time.perf_counter() - began
    return {"seconds": took, "rows": table.num_rows}


def version():
    return {"version": importlib.metadata.version("feast")}


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what Feast prints is no answer

for line in sys.stdin:
    request = json.loads(line)
    call = {"repo": repo, "join": join, "version": version}[request.pop("do")]
    try:
        answer = call(**request)
    except Exception as e:  # told to the bench, which ends
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), file=answers, flush=True)
