"""Does, with Feast's own command line and SDK, what its users do with a registry, pushed features and online features, in the
repository that `projectionist feast init` wrote, and checks what comes back.

    python client.py REPOSITORY ONLINE MAIN        the addresses of port 6566 and of the program's own API

A line per check: ok, or FAILED with the reason; then the table of operations. Exit status 1 if one failed.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ["FEAST_USAGE"] = "False"

import pandas as pd  # noqa: E402
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType  # noqa: E402
from feast.data_source import PushMode  # noqa: E402
from feast.errors import ConflictingFeatureViewNames, EntityNotFoundException, FeastError, FeatureServiceNotFoundException, FeatureViewNotFoundException, PushSourceNotFoundException, RequestDataNotFoundInEntityDfException  # noqa: E402
from feast.on_demand_feature_view import on_demand_feature_view  # noqa: E402
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, Map, String, UnixTimestamp  # noqa: E402

failed, checks, operations = [], 0, []
NOW = datetime.now(timezone.utc).replace(microsecond=0)


def check(fn):
    """Runs it at once, in the order of the file. What it shows is its first line; the operations follow the colon."""
    global checks
    checks += 1
    began = time.time()
    name, _, used = fn.__doc__.partition(": ")
    try:
        fn()
        print(f"ok      {fn.__doc__}  {(time.time() - began) * 1000:.0f} ms")
        result = "answered"
    except Exception as e:  # noqa: BLE001
        failed.append(name)
        print(f"FAILED  {fn.__doc__}: {type(e).__name__}: {str(e)[:600]}")
        traceback.print_exc(limit=-3, file=sys.stderr)
        result = "FAILED"
    operations.extend((op.strip(), name, result) for op in used.split(","))


def feast(*args):
    """Feast's command line in the repository."""
    done = subprocess.run([Path(sys.executable).parent / "feast", *args], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, f"feast {' '.join(args)}: {done.stdout[-500:]} {done.stderr[-1500:]}"
    return done.stdout


def refused(kind, says, call):
    try:
        call()
    except kind as e:
        assert says in str(e), f"{e} does not say {says}"
        return
    raise AssertionError(f"not refused with {kind.__name__}")


def post(path, body):
    request = urllib.request.Request(ONLINE + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def events(*kinds):
    """How many events of these kinds the ledger has."""
    n = 0
    for kind in kinds:
        with urllib.request.urlopen(f"{MAIN}/api/v1/audit?limit=1000&type={kind}") as answer:
            n += len(json.load(answer)["items"])
    return n


def pushed_of(film):
    """How many values were pushed of a film."""
    with urllib.request.urlopen(f"{MAIN}/api/v1/features/external/movie_reviews/history?limit=1000&movie_id={film}") as answer:
        return len(json.load(answer)["items"])


APPLIED = [f"feature_{what}.applied" for what in ("project", "entity", "source", "view", "service")]


def frame(ids, tone, at=NOW, **more):
    n = len(ids)
    columns = {"movie_id": ids, "tone": tone, "reviews": [3] * n, "words": [["warm", "slow"]] * n, "event_timestamp": [at] * n, "created": [NOW] * n}
    return pd.DataFrame({**columns, **more})


def main():
    store = FeatureStore(repo_path=REPO)

    def online(features, **keys):
        rows = [dict(zip(keys, values)) for values in zip(*keys.values())]
        return store.get_online_features(features=features, entity_rows=rows).to_dict()

    # The command line

    @check
    def _():
        """a repository is applied: feast apply"""
        assert "Deploying infrastructure for movie_reviews" in feast("apply")
        assert events("feature_view.applied") == 1 and events("feature_source.applied") == 2, events(*APPLIED)

    @check
    def _():
        """the same again is no event, and no change: feast apply, feast plan"""
        before = events(*APPLIED)
        feast("apply")
        assert events(*APPLIED) == before, f"{events(*APPLIED) - before} events"
        assert "No changes to registry" in feast("plan")

    @check
    def _():
        """lists: feast feature-views list, feast entities list, feast feature-services list, feast data-sources list, feast projects list, feast features list"""
        for noun, names in {
            "feature-views": ["movie_features", "movie_reviews", "user_features"], "entities": ["movie", "user"], "feature-services": ["movie_card", "movie_page", "ranking"],
            "data-sources": ["movie_reviews", "reviews"], "projects": ["projectionist"], "features": ["tone", "popularity", "age"],
        }.items():
            said = feast(noun, "list")
            for name in names:
                assert any(line.split()[:1] == [name] for line in said.splitlines()), f"feast {noun} list does not have {name}: {said[:300]}"

    @check
    def _():
        """one of each: feast feature-views describe, feast entities describe, feast feature-services describe, feast data-sources describe, feast projects describe"""
        for noun, name, says in [("feature-views", "movie_reviews", "From -1, a pan"), ("feature-views", "movie_features", "projectionist: computed"), ("entities", "movie", "joinKey: movie_id"),
                                 ("feature-services", "movie_page", "featureViewName: movie_features"), ("data-sources", "reviews", "PUSH_SOURCE"), ("projects", "projectionist", "name: projectionist")]:
            assert says in feast(noun, "describe", name), (noun, name)

    @check
    def _():
        """lists of what there is none of: feast on-demand-feature-views list, feast stream-feature-views list, feast saved-datasets list, feast validation-references list, feast permissions list"""
        for noun in ("on-demand-feature-views", "stream-feature-views", "saved-datasets", "validation-references", "permissions"):
            assert len(feast(noun, "list").strip().splitlines()) == 1, noun

    @check
    def _():
        """the whole registry at once: feast registry-dump"""
        dump = json.loads(feast("registry-dump"))
        assert {v["spec"]["name"] for v in dump["featureViews"]} >= {"movie_features", "movie_reviews"}, dump.keys()

    # Pushing and reading

    @check
    def _():
        """what is pushed is read at once, beside what is computed: store.push(ONLINE), store.get_online_features"""
        store.push("reviews", frame([1, 2], [0.5, -1.0]), to=PushMode.ONLINE)
        got = online(["movie_reviews:tone", "movie_reviews:reviews", "movie_reviews:words", "movie_features:rating"], movie_id=[1, 2, 3])
        assert got["tone"] == [0.5, -1.0, None] and got["reviews"] == [3, 3, None] and got["words"] == [["warm", "slow"]] * 2 + [None], got
        assert all(isinstance(r, float) for r in got["rating"]), got

    @check
    def _():
        """an older row that comes later is history alone: store.push(ONLINE)"""
        store.push("reviews", frame([1], [9.0], NOW - timedelta(days=1)), to=PushMode.ONLINE)
        assert online(["movie_reviews:tone"], movie_id=[1])["tone"] == [0.5]
        store.push("reviews", frame([1], [0.75]), to=PushMode.ONLINE)  # of the same time: the later counts
        assert online(["movie_reviews:tone"], movie_id=[1])["tone"] == [0.75]

    @check
    def _():
        """a view is written by its name: store.write_to_online_store"""
        store.write_to_online_store("movie_reviews", frame([7], [0.25]))
        assert online(["movie_reviews:tone"], movie_id=[7])["tone"] == [0.25]

    @check
    def _():
        """services, full names and the command line's read: store.get_feature_service, store.get_online_features(FeatureService), feast get-online-features"""
        got = store.get_online_features(features=store.get_feature_service("movie_page"), entity_rows=[{"movie_id": 1}], full_feature_names=True).to_dict()
        assert got["movie_reviews__tone"] == [0.75] and got["movie_features__title"][0], got
        assert json.loads(feast("get-online-features", "-e", "movie_id=1", "-f", "movie_reviews:tone"))["tone"] == [0.75]

    @check
    def _():
        """each status is told: POST /push, POST /get-online-features"""
        at = (NOW - timedelta(days=400)).isoformat()
        code, said = post("/push", {"push_source_name": "reviews", "to": "online", "df": {"movie_id": [11, 12], "tone": [1, None], "reviews": [1, 1], "words": [[], ["x"]],
                                                                                          "event_timestamp": [at, NOW.isoformat()]}})
        assert (code, said) == (200, ""), (code, said)
        code, said = post("/get-online-features", {"features": ["movie_reviews:tone"], "entities": {"movie_id": [1, 11, 12, 13]}})
        tone = json.loads(said)["results"][1]
        assert tone["statuses"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NULL_VALUE", "NOT_FOUND"] and tone["values"] == [0.75, None, None, None], said

    @check
    def _():
        """values for training alone are not served, those for both are: POST /push"""
        body = {"push_source_name": "reviews", "df": {"movie_id": [21], "tone": [0.5], "reviews": [1], "words": [["x"]], "event_timestamp": [NOW.isoformat()]}}
        for to, want in [("offline", None), ("online_and_offline", 0.5)]:
            assert post("/push", {**body, "to": to}) == (200, ""), to
            assert online(["movie_reviews:tone"], movie_id=[21])["tone"] == [want], to

    @check
    def _():
        """values are written for training, once, and joined as they were served: store.write_to_offline_store, store.push(OFFLINE), store.push(ONLINE_AND_OFFLINE), store.get_historical_features"""
        at = NOW - timedelta(days=2)
        before = pushed_of(31)
        for _ in range(2):
            store.write_to_offline_store("movie_reviews", frame([31, 31], [0.5, 0.75], at))
            store.push("reviews", frame([31], [1.0], at + timedelta(days=1)), to=PushMode.OFFLINE)
        assert pushed_of(31) - before == 3, pushed_of(31)
        assert online(["movie_reviews:tone"], movie_id=[31])["tone"] == [None]
        store.push("reviews", frame([31], [0.125]), to=PushMode.ONLINE_AND_OFFLINE)
        assert pushed_of(31) - before == 4 and online(["movie_reviews:tone"], movie_id=[31])["tone"] == [0.125]
        rows = pd.DataFrame({"movie_id": [31] * 5 + [999], "event_timestamp": [NOW, at + timedelta(days=1), at, at - timedelta(milliseconds=1), at + timedelta(days=366), NOW]})
        got = store.get_historical_features(rows, ["movie_reviews:tone", "movie_reviews:words", "movie_features:title"]).to_df()
        assert [None if t != t else t for t in got["tone"]] == [0.125, 1.0, 0.75, None, 0.125, None], got
        assert list(got["words"][0]) == ["warm", "slow"] and got["title"][0], got
        rows = pd.DataFrame({"movie_id": [31, 31], "event_timestamp": [at.replace(tzinfo=None), at]})
        assert list(store.get_historical_features(rows[1:], ["movie_reviews:tone"]).to_df()["tone"]) == [0.75]
        assert list(store.get_historical_features(rows[:1].astype({"event_timestamp": "datetime64[ns]"}), ["movie_reviews:tone"]).to_df()["tone"]) == [0.75]

    @check
    def _():
        """what was pushed is a table: offline_store.pull_latest_from_table_or_query, offline_store.pull_all_from_table_or_query"""
        view, offline = store.get_feature_view("movie_reviews"), store._get_provider().offline_store
        how = dict(config=store.config, data_source=view.batch_source, join_key_columns=["movie_id"], feature_name_columns=["tone"], timestamp_field="event_timestamp", created_timestamp_column="created",
                   start_date=NOW - timedelta(days=3), end_date=NOW)
        latest, everything = (pull(**how).to_df() for pull in (offline.pull_latest_from_table_or_query, offline.pull_all_from_table_or_query))
        assert list(latest[latest.movie_id == 31].tone) == [0.125] and list(everything[everything.movie_id == 31].tone) == [0.5, 0.75, 1.0, 0.125], everything[everything.movie_id == 31]

    @check
    def _():
        """what is wrong with a table is told with its column: store.write_to_offline_store"""
        refused(Exception, "table[1].reviews", lambda: store.write_to_offline_store("movie_reviews", frame([41, 42], [1.0, 1.0], reviews=["3", "three"])))
        refused(Exception, "missing_expected_columns: ['tone']", lambda: store.write_to_offline_store("movie_reviews", frame([41], [1.0]).drop(columns="tone")))
        refused(Exception, "computed from the log", lambda: store.write_to_offline_store("user_features", store.get_historical_features(
            pd.DataFrame({"user_id": [1], "event_timestamp": [NOW]}), [f"user_features:{f.name}" for f in store.get_feature_view("user_features").features]).to_df()))

    @check
    def _():
        """materialization says that there is none to do: store.materialize, store.materialize_incremental, feast materialize, feast materialize-incremental"""
        store.materialize(NOW - timedelta(days=1), NOW)
        store.materialize_incremental(NOW, ["movie_reviews"])
        feast("materialize", "2024-01-01T00:00:00", "2024-02-01T00:00:00")
        feast("materialize-incremental", "2024-02-01T00:00:00")
        code, said = post("/materialize", {"disable_event_timestamp": True})
        assert code == 200 and "nothing is to be materialized" in said, said

    @check
    def _():
        """ten thousand rows in one push: POST /push"""
        n = 10_000
        df = {"movie_id": list(range(100_000, 100_000 + n)), "tone": [i / n for i in range(n)], "reviews": [1] * n, "words": [["x"]] * n, "event_timestamp": [NOW.isoformat()] * n}
        began = time.time()
        assert post("/push", {"push_source_name": "reviews", "to": "online", "df": df}) == (200, "")
        took = time.time() - began
        assert online(["movie_reviews:tone"], movie_id=[100_000 + n - 1])["tone"] == [(n - 1) / n]
        print(f"        10,000 rows pushed in {took * 1000:.0f} ms")

    # The SDK's registry

    @check
    def _():
        """every type that is kept: store.apply, store.push(ONLINE), store.get_online_features"""
        seat = Entity(name="seat", join_keys=["row", "place"][:1], value_type=ValueType.STRING)
        source = PushSource(name="kinds_push", batch_source=FileSource(name="kinds_batch", path="unused.parquet", timestamp_field="event_timestamp"))
        kinds = FeatureView(name="kinds", entities=[seat], ttl=timedelta(0), source=source, tags={"b": "1", "a": "2"}, schema=[
            Field(name="row", dtype=String), Field(name="a", dtype=Int32), Field(name="b", dtype=Int64), Field(name="c", dtype=Float32), Field(name="d", dtype=Float64), Field(name="e", dtype=Bool),
            Field(name="f", dtype=String), Field(name="g", dtype=UnixTimestamp), Field(name="h", dtype=Array(Int64)), Field(name="i", dtype=Array(Float64)), Field(name="j", dtype=Array(Bool)), Field(name="k", dtype=Bytes)])
        store.apply([seat, source, kinds, FeatureService(name="some_kinds", features=[kinds[["a", "f"]]])])
        store.push("kinds_push", pd.DataFrame({"row": ["A"], "a": [-5], "b": [2**53 + 1], "c": [0.5], "d": [2.0], "e": [True], "f": ["ü"], "g": [NOW], "h": [[1, 2]], "i": [[1.0, 2.5]], "j": [[True, False]],
                                               "k": [None], "event_timestamp": [NOW]}), to=PushMode.ONLINE)
        got = online([f"kinds:{f}" for f in "abcdefghij"], row=["A"])
        assert [got[f][0] for f in "abcdefhij"] == [-5, 2**53 + 1, 0.5, 2.0, True, "ü", [1, 2], [1.0, 2.5], [True, False]], got
        assert got["g"][0] == int(NOW.timestamp()), got
        assert store.get_feature_view("kinds").tags == {"b": "1", "a": "2"}

    @check
    def _():
        """objects by name and in lists: store.get_feature_view, store.get_entity, store.get_data_source, store.get_project, store.list_feature_views, store.list_all_feature_views, store.list_batch_feature_views, store.list_entities, store.list_data_sources, store.list_feature_services, store.list_projects"""
        assert store.get_feature_view("movie_reviews").ttl == timedelta(days=365)
        assert store.get_entity("movie").join_key == "movie_id" and store.get_data_source("reviews").batch_source.timestamp_field == "event_timestamp"
        assert store.get_project("projectionist").name == "projectionist"
        for listed in (store.list_feature_views(), store.list_all_feature_views(), store.list_batch_feature_views()):
            assert {v.name for v in listed} == {"kinds", "movie_features", "movie_reviews", "user_features"}, [v.name for v in listed]
        assert [v.name for v in store.list_feature_views(tags={"a": "2"})] == ["kinds"]
        assert {e.name for e in store.list_entities()} == {"movie", "user", "seat"} and "reviews" in {s.name for s in store.list_data_sources()}
        assert {s.name for s in store.list_feature_services()} == {"movie_card", "movie_page", "ranking", "some_kinds"} and [p.name for p in store.list_projects()] == ["projectionist"]

    @check
    def _():
        """things are deleted: store.delete_feature_service, store.delete_feature_view, feast apply"""
        store.delete_feature_service("some_kinds")
        refused(FeatureServiceNotFoundException, "some_kinds", lambda: store.get_feature_service("some_kinds"))
        store.delete_feature_view("kinds")
        refused(FeatureViewNotFoundException, "kinds", lambda: online(["kinds:a"], row=["A"]))
        feast("apply")  # which deletes what the repository does not name
        refused(EntityNotFoundException, "seat", lambda: store.get_entity("seat"))
        assert {v.name for v in store.list_feature_views()} == {"movie_features", "movie_reviews", "user_features"}

    @check
    def _():
        """Feast's own errors come back: store.get_feature_view, store.get_feature_service, store.get_entity, store.push(ONLINE), store.get_online_features"""
        refused(FeatureViewNotFoundException, "nope", lambda: store.get_feature_view("nope"))
        refused(FeatureServiceNotFoundException, "nope", lambda: store.get_feature_service("nope"))
        refused(EntityNotFoundException, "nope", lambda: store.get_entity("nope"))
        refused(PushSourceNotFoundException, "nope", lambda: store.push("nope", frame([1], [1.0])))
        refused(FeatureViewNotFoundException, "nope", lambda: online(["nope:x"], movie_id=[1]))

    @check
    def _():
        """what cannot be kept is refused, and why: store.apply, store.delete_feature_view"""
        movie, source = store.get_entity("movie"), store.get_data_source("reviews")
        mapped = FeatureView(name="mapped", entities=[movie], source=source, schema=[Field(name="movie_id", dtype=Int64), Field(name="m", dtype=Map)])
        refused(FeastError, "feature m of feature view mapped is of Feast's value type", lambda: store.apply([mapped]))
        other = FeatureView(name="movie_features", entities=[movie], source=source, schema=[Field(name="movie_id", dtype=Int64), Field(name="mood", dtype=Float64)])
        refused(ConflictingFeatureViewNames, "movie_features is computed here, and has no feature mood", lambda: store.apply([other]))
        refused(FeastError, "of this program's own definitions", lambda: store.delete_feature_view("movie_features"))

        @on_demand_feature_view(sources=[store.get_feature_view("movie_reviews")], schema=[Field(name="twice", dtype=Float64)])
        def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"twice": inputs["tone"] * 2})

        refused(FeastError, "no code from outside runs here", lambda: store.apply([doubled]))

    @check
    def _():
        """another project has its own, and names of views are one project's at a time: FeatureStore(project), store.apply, registry.delete_project"""
        config = store.config.model_copy(deep=True)
        config.project = "elsewhere"
        there = FeatureStore(config=config)
        movie = Entity(name="movie", join_keys=["movie_id"], value_type=ValueType.INT64)
        view = FeatureView(name="elsewhere_view", entities=[movie], source=FileSource(name="b", path="unused.parquet", timestamp_field="event_timestamp"), schema=[Field(name="movie_id", dtype=Int64), Field(name="x", dtype=Int64)])
        there.apply([movie, view])
        assert [v.name for v in there.list_feature_views()] == ["elsewhere_view"] and "elsewhere_view" not in [v.name for v in store.list_feature_views()]
        there.write_to_online_store("elsewhere_view", pd.DataFrame({"movie_id": [1], "x": [5], "event_timestamp": [NOW], "created": [NOW]}))
        assert there.get_online_features(features=["elsewhere_view:x", "movie_features:rating_count"], entity_rows=[{"movie_id": 1}]).to_dict()["x"] == [5]
        taken = FeatureView(name="movie_reviews", entities=[movie], source=FileSource(name="b", path="unused.parquet", timestamp_field="event_timestamp"), schema=[Field(name="movie_id", dtype=Int64), Field(name="x", dtype=Int64)])
        refused(FeastError, "is declared in the project projectionist", lambda: there.apply([taken]))
        there.registry.delete_project("elsewhere")
        assert there.list_feature_views() == []

    # The past, versions, and expressions

    def define(change):
        """Puts the definitions in force with a change."""
        with urllib.request.urlopen(urllib.request.Request(f"{MAIN}/api/v1/features/definitions", headers={"Accept": "application/yaml"})) as answer:
            text = change(answer.read().decode())
        urllib.request.urlopen(urllib.request.Request(f"{MAIN}/api/v1/features/definitions", text.encode(), {"Content-Type": "application/yaml"})).read()

    @check
    def _():
        """what was known at a moment: FeatureStore(online_store at a moment), store.get_online_features, store.push(ONLINE), store.write_to_online_store, store.materialize"""
        features = ["movie_features:interaction_count", "movie_features:recency_days", "movie_features:age_years", "movie_reviews:tone", "user_features:genre_preference"]
        store.push("reviews", frame([1], [0.25]), to=PushMode.ONLINE)
        asked = datetime.now(timezone.utc)
        before = online(features, movie_id=[1], user_id=[1])
        time.sleep(1.1)
        later = datetime.now(timezone.utc)
        moment = later.strftime("%Y-%m-%dT%H:%M:%SZ")
        time.sleep(1.1)
        store.push("reviews", frame([1], [0.75], datetime.now(timezone.utc)), to=PushMode.ONLINE)
        body = json.dumps({"user_id": "1", "movie_id": "1", "rating": 5}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{MAIN}/api/v1/feedback", body, {"Content-Type": "application/json"})).read()
        define(lambda text: text.replace("{name: age_years, type: int64", "{name: years, type: int64", 1))
        after = online([f.replace("age_years", "years") for f in features], movie_id=[1], user_id=[1])
        assert after["tone"] == [0.75] and after["interaction_count"] != before["interaction_count"], (before, after)
        refused(FeastError, "age_years not found", lambda: online(features, movie_id=[1]))
        config = store.config.model_copy(deep=True)
        config.online_store.path = f"{ONLINE}/at/{moment}"
        past = FeatureStore(config=config)
        for _ in range(2):
            got = past.get_online_features(features=features, entity_rows=[{"movie_id": 1, "user_id": 1}]).to_dict()
            assert {**got, "recency_days": 0} == {**before, "recency_days": 0}, (got, before)
            assert 0 <= got["recency_days"][0] - before["recency_days"][0] <= (later - asked) / timedelta(days=1), (got, before)
        for write in (lambda: past.push("reviews", frame([1], [0.5]), to=PushMode.ONLINE), lambda: past.write_to_online_store("movie_reviews", frame([1], [0.5]))):
            refused(FeastError, f"this is what was known at {moment}, which cannot be changed", write)
        refused(RuntimeError, f"this is what was known at {moment}, which cannot be changed", lambda: past.materialize(NOW - timedelta(days=1), NOW))
        refused(FeastError, "Feature years not found", lambda: past.get_online_features(features=["movie_features:years"], entity_rows=[{"movie_id": 1}]))
        assert online(["movie_reviews:tone"], movie_id=[1])["tone"] == [0.75]

    @check
    def _():
        """a version of a view: POST /get-online-features, store.get_online_features"""
        got = online(["movie_features@v1:age_years", "movie_features:years"], movie_id=[1])
        assert got["age_years"] == got["years"] != [None], got
        code, said = post("/get-online-features", {"features": ["movie_features@v1:age_years", "movie_features@v2:years", "movie_reviews@v1:tone"], "entities": {"movie_id": [1]}, "include_feature_view_version_metadata": True})
        got = json.loads(said)
        assert code == 200 and got["results"][1]["values"] == got["results"][2]["values"] != [None] and got["results"][3]["values"] == [0.75], said
        assert got["metadata"]["feature_view_metadata"] == [{"name": "movie_features", "version": 1}, {"name": "movie_features", "version": 2}, {"name": "movie_reviews", "version": 1}], said
        code, said = post("/get-online-features", {"features": ["movie_features@v9:years"], "entities": {"movie_id": [1]}})
        assert code == 404 and json.loads(json.loads(said))["class"] == "FeatureViewVersionNotFound", said

    @check
    def _():
        """an on-demand view of expressions: store.list_feature_views, store.get_online_features, store.get_historical_features"""
        define(lambda text: text.replace("feature_views:", """on_demand_views:
  - name: fit
    inputs: {count: "movie_features:interaction_count", own: "user_features:interaction_count"}
    request: {hour: int64}
    features: [{name: share, type: float64, expression: own / count}, {name: late, type: int64, expression: "if(hour >= 22, 1, 0)"}]
  - {name: busy, inputs: {count: "movie_features:interaction_count"}, features: [{name: doubled, type: int64, expression: count * 2}]}
feature_views:""", 1))
        view = {v.name: v for v in store.list_feature_views()}["fit"]
        assert sorted(view.entities) == ["movie", "user"] and view.tags["share"] == "own / count" and [f.name for f in view.features] == ["share", "late"], view
        got = online(["fit:share", "fit:late", "movie_features:interaction_count", "busy:doubled"], movie_id=[1, 1], user_id=[1, 1], hour=[23, 5])
        own = online(["user_features:interaction_count"], user_id=[1])["interaction_count"][0]
        count = got["interaction_count"][0]
        assert got["late"] == [1, 0] and got["share"] == [own / count] * 2 and got["doubled"] == [2 * count] * 2, got
        rows = pd.DataFrame({"movie_id": [1, 2], "event_timestamp": [datetime.now(timezone.utc)] * 2})
        joined = store.get_historical_features(entity_df=rows, features=["busy:doubled", "movie_features:interaction_count"]).to_df()
        assert (joined["doubled"] == 2 * joined["interaction_count"]).all() and (joined["doubled"] > 0).any(), joined
        rows = pd.DataFrame({"movie_id": [1, 1, 1], "user_id": [1, 1, 1], "hour": [23, 5, None], "event_timestamp": [datetime.now(timezone.utc)] * 3})
        joined = store.get_historical_features(entity_df=rows, features=["fit:share", "fit:late"]).to_df()
        assert joined["late"].tolist()[:2] == got["late"] and pd.isna(joined["late"][2]) and joined["share"].tolist()[:2] == got["share"], joined
        try:
            store.get_historical_features(entity_df=rows.drop(columns="hour"), features=["fit:late"]).to_df()
            assert False, "hour is not missed"
        except RequestDataNotFoundInEntityDfException as e:
            assert "hour" in str(e) and "fit" in str(e), e

    version = importlib.metadata.version("feast")
    width = max(len(op) for op, _, _ in operations)
    print("\ntable   what Feast's users do, and what came of it")
    for op in dict.fromkeys(op for op, _, _ in operations):
        came = [(name, result) for o, name, result in operations if o == op]
        print(f"table   {op.ljust(width)}  {'FAILED' if any(r != 'answered' for _, r in came) else 'answered'}  {'; '.join(name for name, _ in came)}")
    print(f"client  feast {version}: {len(dict.fromkeys(op for op, _, _ in operations))} operations, {checks - len(failed)}/{checks} checks")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    REPO, ONLINE, MAIN = sys.argv[1], sys.argv[2].rstrip("/"), sys.argv[3].rstrip("/")
    main()
