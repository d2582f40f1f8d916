"""Joins random histories by Feast's own offline store (duckdb) and by Projectionist through Feast's unmodified remote offline store, and compares every value, to the bit.

usage: offline.py MAIN FLIGHT ONLINE REGISTRY [ROUNDS]     with the addresses of a program with films 1 to 9, such as 127.0.0.1:8000 127.0.0.1:8815 127.0.0.1:6566 127.0.0.1:6570;
offline.sh starts one

What Feast joins is made here, from the same facts, by a few lines that know nothing of the program: after each fact a row of what is known of the person or the film,
with the order in which the facts were recorded as its created timestamp. Both sides then see the same: a value of the last moment at or before the row's own time, not older
than the view's ttl, inclusive at both ends; of one moment the row that was created last; a naive time as UTC. Facts come late, twice, at the same moment, and corrected.

Then the same of views whose values are pushed, which Feast has in a file and Projectionist by /push and write_to_offline_store: composite join keys, values of every type, nulls, features that are dropped
and that come later. What is not the same on purpose is shown, and said at the end.
"""

import base64
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
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.data_source import PushMode
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp

DAY0 = datetime(2024, 3, 1, tzinfo=timezone.utc)
TTL = timedelta(days=2)
FEATURES = {"interactions": ("count", Int64), "clicks": ("count", Int64), "ratings": ("rating_count", Int64), "mean": ("mean", Float64)}
VIEWS = {f"{entity}_{name}": (entity, ttl) for entity in ("user", "movie") for name, ttl in (("always", timedelta(0)), ("lately", TTL))}


def post(main, path, body, kind="application/json", key=None):
    headers = {"Content-Type": kind, **({"Idempotency-Key": key} if key else {})}
    with urllib.request.urlopen(urllib.request.Request(f"http://{main}{path}", body.encode(), headers)) as res:
        return json.loads(res.read() or "null")


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


# Views of pushed values

TYPES = {"f64": Float64, "f32": Float32, "i64": Int64, "i32": Int32, "yes": Bool, "word": String, "seal": Bytes, "till": UnixTimestamp, "words": Array(String), "marks": Array(Int64), "odds": Array(Float64)}
PANDAS = {"person": "int64", "seat": "int64", "i64": "Int64", "i32": "Int32", "yes": "boolean", "f64": "float64", "f32": "float32"}
KEYS = {"alone": ["person"], "pair": ["city", "seat"]}
TTLS = {"alone": timedelta(0), "pair": TTL}
LATER, DROPPED = "marks", "odds"  # a feature that is declared when half is pushed, and one that is dropped at the end


def some(rng):
    """A row of values, of which some are null."""
    row = {"f64": rng.choice([0.1, -2.0, 1e300, 5e-324, rng.random()]), "f32": float(pd.Series([rng.random()], dtype="float32")[0]), "i64": rng.choice([2**53 + 1, -1, 0]), "i32": rng.randrange(-9, 9),
           "yes": rng.random() < 0.5, "word": rng.choice(["", "ü|,\"", "a"]), "seal": rng.choice([b"", b"\x00\xff"]), "till": DAY0 + timedelta(seconds=rng.randrange(10**6)),
           "words": rng.choice([[], ["a", "ß"]]), "marks": rng.choice([[1], [2**53 + 1, -5]]), "odds": rng.choice([[0.5], [1.0, 2.5]])}
    return {name: None if rng.random() < 0.15 else v for name, v in row.items()}


def pushes(rng, view, round):
    """Random rows in the order in which they are pushed, which is that of their created timestamps."""
    moments = [DAY0 + timedelta(milliseconds=rng.randrange(8 * 86_400_000)) for _ in range(25)]
    out = []
    for n in range(150):
        keys = {"person": 100 * round + rng.randrange(4)} if view == "alone" else {"city": f"r{round}&" + rng.choice("ab="), "seat": rng.randrange(3)}
        out.append({**keys, **some(rng), "event_timestamp": rng.choice(moments), "created": DAY0 + timedelta(days=20, seconds=n)})
        if rng.random() < 0.2:  # at once again, word for word
            out.append(dict(out[-1]))
    return out


def framed(rows):
    frame = pd.DataFrame({name: pd.Series([r[name] for r in rows], dtype=PANDAS.get(name, "object")) for name in rows[0]})
    for name in {"event_timestamp", "created", "till"} & set(frame):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ms, UTC]")
    return frame


def in_json(row):
    """A row as /push takes it."""
    out = {}
    for name, v in row.items():
        if isinstance(v, datetime):
            v = v.isoformat()
        elif isinstance(v, bytes):
            v = base64.b64encode(v).decode()
        out[name] = [v]
    return out


def pushed_view(view, source, types):
    keys = [Entity(name=key, join_keys=[key], value_type=ValueType.STRING if key == "city" else ValueType.INT64) for key in KEYS[view]]
    schema = [Field(name=key, dtype=String if key == "city" else Int64) for key in KEYS[view]] + [Field(name=name, dtype=TYPES[name]) for name in types]
    return keys, FeatureView(name=view, entities=keys, ttl=TTLS[view], schema=schema, source=source)


def pushed_rows(rng, all_):
    """Entity rows at, before and behind the moments of what was pushed and of its end; some of somebody else, some of nobody."""
    out = []
    for n in range(300):
        alone, pair = rng.choice(all_["alone"]), rng.choice(all_["pair"])
        at = rng.choice([alone, pair])["event_timestamp"] + rng.choice([timedelta(0), TTL]) + timedelta(milliseconds=rng.choice([-1, 0, 0, 1]))
        out.append({"person": alone["person"] if rng.random() < 0.9 else 999_999, "city": pair["city"] if rng.random() < 0.9 else rng.choice(["nowhere", None]), "seat": pair["seat"], "event_timestamp": at, "row": n})
    frame = pd.DataFrame(out)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True).astype("datetime64[ns, UTC]")
    return frame


def exact(v):
    if v is None or v != v:
        return None
    if isinstance(v, float):
        return v.hex()
    if isinstance(v, (list, tuple)):
        return tuple(exact(x) for x in v)
    return v.isoformat() if isinstance(v, datetime) else v


def exactly(answer, names):
    order = pa.compute.sort_indices(answer["row"])
    return {name: [exact(v) for v in answer[name].take(order).to_pylist()] for name in names}


def pushed(main, flight, online, registry, rounds):
    host, _, port = flight.partition(":")
    before = [name for name in TYPES if name != LATER]
    compared = present = 0
    for round in range(rounds):
        rng = random.Random(1000 + round)
        all_ = {view: pushes(rng, view, round) for view in KEYS}
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)

            def config(side, **stores):
                (folder / side).mkdir()
                return FeatureStore(config=RepoConfig(project="pushed", provider="local", entity_key_serialization_version=3, **stores))

            theirs = config("theirs", registry=str(folder / "theirs" / "registry.db"), offline_store={"type": "duckdb"}, online_store={"type": "sqlite", "path": str(folder / "theirs" / "online.db")})
            ours = config("ours", registry={"registry_type": "remote", "path": registry, "cache_ttl_seconds": 0}, offline_store={"type": "remote", "host": host, "port": int(port)},
                          online_store={"type": "remote", "path": f"http://{online}"})

            def declare(store, types, batch):
                things = []
                for view in KEYS:
                    source = FileSource(name=f"{view}_batch", path=str(batch.get(view, "unused.parquet")), timestamp_field="event_timestamp", created_timestamp_column="created")
                    if store is ours:
                        source = PushSource(name=f"{view}_push", batch_source=source)
                    keys, v = pushed_view(view, source, types)
                    things += [*keys, source, v]
                store.apply(things)

            declare(ours, before, {})
            half = {view: len(rows) // 2 for view, rows in all_.items()}
            for view, rows in all_.items():  # what is declared later is null before
                for row in rows[: half[view]]:
                    row[LATER] = None
            for part in range(2):
                if part:
                    declare(ours, TYPES, {})
                types = TYPES if part else before
                for view, rows in all_.items():
                    rest = [{k: v for k, v in r.items() if k in types or k not in TYPES} for r in (rows[half[view] :] if part else rows[: half[view]])]
                    while rest:
                        n = rng.choice([1, 1, 20])
                        now, rest = rest[:n], rest[n:]
                        if n == 1:
                            post(online, "/push", json.dumps({"push_source_name": f"{view}_push", "to": rng.choice(["online", "offline", "online_and_offline"]), "df": in_json(now[0])}))
                            continue
                        table = framed(now)
                        for _ in range(rng.choice([1, 2])):  # sent again, it is known
                            if rng.random() < 0.5:
                                ours.write_to_offline_store(view, table)
                            else:
                                ours.push(f"{view}_push", table, to=PushMode.OFFLINE)
            sources = {view: folder / f"{view}.parquet" for view in KEYS}
            for view, rows in all_.items():
                framed(rows).to_parquet(sources[view], index=False)
            declare(theirs, TYPES, sources)
            kept = [name for name in TYPES if name != DROPPED]
            declare(ours, kept, {})
            refs = [f"{view}:{name}" for view in KEYS for name in kept]
            names = [ref.replace(":", "__") for ref in refs]
            frame = pushed_rows(rng, all_)
            want = exactly(theirs.get_historical_features(entity_df=frame, features=refs, full_feature_names=True).to_arrow(), names)
            answer = ours.get_historical_features(entity_df=frame, features=refs, full_feature_names=True).to_arrow()
            if answer["row"].to_pylist() != frame["row"].tolist():
                sys.exit(f"pushed, round {round}: the rows are not in their order")
            got = exactly(answer, names)
            for name in names:
                for n, (x, y) in enumerate(zip(want[name], got[name], strict=True)):
                    compared += 1
                    present += x is not None
                    if x != y:
                        sys.exit(f"pushed, round {round}, {name} of\n{frame.iloc[n]}\nFeast says {x}, Projectionist {y}")
            naive = frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))
            if exactly(ours.get_historical_features(entity_df=naive, features=refs, full_feature_names=True).to_arrow(), names) != got:
                sys.exit(f"pushed, round {round}: times without a zone are not taken as UTC")
            body = io.BytesIO()
            frame.to_parquet(body, index=False)
            request = urllib.request.Request(f"http://{main}/api/v1/features/historical?full_feature_names=true&features={','.join(refs)}", body.getvalue(), {"Content-Type": "application/vnd.apache.parquet"})
            with urllib.request.urlopen(request) as res:
                if exactly(pa.parquet.read_table(io.BytesIO(res.read())), names) != got:
                    sys.exit(f"pushed, round {round}: in Parquet the values are others")
            refused(ours, frame, DROPPED)
            for view, rows in all_.items():
                pulled(theirs, ours, view, rows, kept)
            if round == 0:
                deviates(theirs, ours, declare, folder, host)
    if present < compared / 4:
        sys.exit(f"only {present} of {compared} pushed values are there: the histories do not try it")
    print(f"{rounds} random histories of pushed values: {compared:,} values are those of Feast's join, {present:,} of them present")
    print("        on purpose not the same: of one event time the row that was recorded last counts, which was served, where Feast takes the one that was created last; times are compared to the millisecond")


def refused(ours, frame, dropped):
    """A feature that was dropped from the view is not joined any more."""
    try:
        ours.get_historical_features(entity_df=frame, features=[f"pair:{dropped}"]).to_arrow()
    except Exception as e:  # noqa: BLE001
        if dropped in str(e):
            return
        raise
    sys.exit(f"{dropped} is joined, though it was dropped")


def pulled(theirs, ours, view, rows, kept):
    """The tables that the view is: all rows, each once, and the newest of each entity."""
    start, end = DAY0 + timedelta(days=1), DAY0 + timedelta(days=6)
    mine = {tuple(r[key] for key in KEYS[view]) for r in rows}
    out = []
    for store in (theirs, ours):
        source = store.get_feature_view(view).batch_source
        kw = dict(config=store.config, data_source=source, join_key_columns=KEYS[view], feature_name_columns=kept, timestamp_field="event_timestamp", created_timestamp_column="created", start_date=start, end_date=end)
        offline = store._get_provider().offline_store
        for pull in (offline.pull_all_from_table_or_query, offline.pull_latest_from_table_or_query):
            got = [r for r in pull(**kw).to_arrow().to_pylist() if tuple(r[key] for key in KEYS[view]) in mine]  # of other rounds there is more here
            out.append({tuple((k, exact(v)) for k, v in sorted(r.items())) for r in got})
    for what, a, b in (("all", out[0], out[2]), ("latest", out[1], out[3])):
        if a != b:
            sys.exit(f"pulled {what} of {view}: Feast has {sorted(map(str, a - b))[:2]}, Projectionist {sorted(map(str, b - a))[:2]}")


def deviates(theirs, ours, declare, folder, host):
    """The one thing that is joined otherwise: a row that is created earlier and recorded later, of the same event time."""
    row = {"person": 77, **{name: None for name in TYPES if name != DROPPED}, "event_timestamp": DAY0, "created": DAY0 + timedelta(days=2)}
    rows = [{**row, "i32": 1}, {**row, "i32": 2, "created": DAY0 + timedelta(days=1)}]
    for r in rows:
        ours.write_to_offline_store("alone", framed([r]))
    path = folder / "deviates.parquet"
    table = framed([{**r, DROPPED: None} for r in rows])
    table[DROPPED] = table[DROPPED].astype(object)
    table.to_parquet(path, index=False)
    frame = pd.DataFrame({"person": [77], "event_timestamp": pd.to_datetime([DAY0], utc=True), "row": [0]})
    declare(theirs, [name for name in TYPES if name != DROPPED], {"alone": path, "pair": folder / "pair.parquet"})
    a, b = (store.get_historical_features(entity_df=frame, features=["alone:i32"]).to_arrow()["i32"].to_pylist() for store in (theirs, ours))
    if (a, b) != ([1], [2]):
        sys.exit(f"of one event time Feast says {a}, Projectionist {b}")


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
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 10
    main(sys.argv[1], sys.argv[2], rounds)
    pushed(*sys.argv[1:5], rounds)
