"""Models that go to PyTorch and come from it, and graphs of ONNX that onnxruntime runs; client.sh starts the program for it.

    client.py PROGRAM MAIN MODELS WORK

PROGRAM is the program's binary, MAIN its address, MODELS that which answers models (port 8001), WORK a folder, in which set/ is the data set that the
program was filled with (ratings.py). Predictions are compared for all
people and many films, one by one: they may differ by 1e-5.
"""
import csv
import json
import math
import pathlib
import struct
import subprocess
import sys
import urllib.error
import urllib.request

import numpy
import onnx
import onnxruntime
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

program, main, models, work = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
CLOSE = 1e-5


class NeuralCF(nn.Module):
    """The module whose state_dict's names the program's files have."""

    def __init__(self, users, movies, embedding=64, hidden=(128, 64, 32), dropout=0.3):
        super().__init__()
        self.user_embedding = nn.Embedding(users, embedding)
        self.movie_embedding = nn.Embedding(movies, embedding)
        layers, width = [], 2 * embedding
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.mlp = nn.Sequential(*layers)
        self.output = nn.Linear(width, 1)

    def forward(self, user, movie):
        return self.output(self.mlp(torch.cat([self.user_embedding(user), self.movie_embedding(movie)], -1))).squeeze(-1)


def ok(what, detail=""):
    print("ok", what, detail, flush=True)


def check(holds, what):
    if not holds:
        print("FAILED", what, flush=True)
        raise SystemExit(1)


def run(*args):
    """What the program's command line says."""
    done = subprocess.run([program, *args, "--server", main], capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def ask(url, body=None, kind="application/json"):
    """Status and answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind}), timeout=300) as res:
            return res.status, res.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def got(url, body=None):
    status, answer = ask(url, body)
    check(status == 200, f"{url}: {status} {answer[:500]!r}")
    return json.loads(answer)


def rated(folder):
    """The ratings of the data set: person, film, stars."""
    with open(folder / "ratings.csv", newline="") as f:
        return [(r["userId"], r["movieId"], float(r["rating"])) for r in csv.DictReader(f)]


def predicted(model, version, user, films):
    """What the program predicts, and by whom."""
    return got(f"{models}/predict?model={model}&version={version}", {"user_id": user, "movie_ids": films})


def farthest(model, version, people, films, expected):
    """How far the program's predictions are from expected(person, films), at most."""
    most = 0.0
    for user in people:
        mine = [p["rating"] for p in predicted(model, version, user, films)["predictions"]]
        check(all(math.isfinite(v) for v in mine), f"{model} {version} predicts {mine}")
        most = max(most, max(abs(a - b) for a, b in zip(mine, expected(user, films))))
    return most


def newest(model):
    return max(v["version"] for v in got(f"{main}/api/v1/models/{model}")["versions"])


def numbers_of(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def by_torch(module, users, movies, scale=None):
    """A function like farthest's expected: who or what has no row is the mean of those that have."""
    module.eval()
    user_row, movie_row = {u: i for i, u in enumerate(users) if u}, {m: i for i, m in enumerate(movies) if m}

    def vectors(embedding, rows, ids):
        mean = embedding.weight[sorted(rows.values())].double().mean(0).float() if rows else torch.zeros(embedding.embedding_dim)
        return torch.stack([embedding.weight[rows[i]] if i in rows else mean for i in ids])

    def expected(user, films):
        with torch.no_grad():
            x = torch.cat([vectors(module.user_embedding, user_row, [user] * len(films)), vectors(module.movie_embedding, movie_row, films)], -1)
            y = module.output(module.mlp(x)).squeeze(-1)
            return (y if scale is None else y.clamp(*scale)).tolist()

    return expected


def exported(people, films):
    """Trained here, loaded in PyTorch."""
    said = run("train", "neural_cf", "--epochs", "3")
    run("models", "export", "neural_cf", "1", str(work / "ours.safetensors"))
    state = load_file(work / "ours.safetensors")
    with safetensors.safe_open(work / "ours.safetensors", "pt") as f:
        about = f.metadata()
    users, movies, params = json.loads(about["user_ids"]), json.loads(about["movie_ids"]), json.loads(about["params"])
    module = NeuralCF(len(users), len(movies), params["embedding"], params["hidden"], params["dropout"])
    module.load_state_dict(state, strict=True)
    n = numbers_of(module)
    check(f"{n:,}" in said, f"PyTorch counts {n:,} parameters, and training says {said}")
    check(got(f"{models}/models?model=neural_cf")["models"][0]["parameters"] == n, "the list of models has another number of parameters")
    most = farthest("neural_cf", 1, people + ["nobody"], films, by_torch(module, users, movies, (params["rating_min"], params["rating_max"])))
    check(most <= CLOSE, f"PyTorch predicts otherwise, by {most}")
    with torch.no_grad():  # through the module's own forward too
        rows = [movies.index(f) for f in films if f in movies]
        direct = module(torch.full((len(rows),), users.index(people[0])), torch.tensor(rows)).clamp(params["rating_min"], params["rating_max"]).tolist()
    mine = [p["rating"] for p in predicted("neural_cf", 1, people[0], [movies[r] for r in rows])["predictions"]]
    check(max(abs(a - b) for a, b in zip(mine, direct)) <= CLOSE, "the module's forward predicts otherwise")
    ok("trained here, loaded in PyTorch", f"{n:,} parameters, {(len(people) + 1) * len(films)} predictions within {most:.1e}")
    run("models", "import", "back", str(work / "ours.safetensors"))
    most = farthest("back", 1, people, films, lambda user, films: [p["rating"] for p in predicted("neural_cf", 1, user, films)["predictions"]])
    check(most == 0, f"what comes back predicts otherwise, by {most}")
    ok("exported and imported, it is the same")


def trained_in_torch(found):
    """A module that PyTorch has trained on the log's ratings."""
    torch.manual_seed(1)
    users, movies = sorted({u for u, _, _ in found}), sorted({m for _, m, _ in found})
    user_row, movie_row = {u: i for i, u in enumerate(users)}, {m: i for i, m in enumerate(movies)}
    module = NeuralCF(len(users), len(movies), 24, (40, 17, 9))
    u, m = torch.tensor([user_row[r[0]] for r in found]), torch.tensor([movie_row[r[1]] for r in found])
    stars = torch.tensor([r[2] for r in found])
    adam, first, last = torch.optim.Adam(module.parameters(), lr=0.005), None, None
    for _ in range(12):
        module.train()
        for batch in torch.randperm(len(found)).split(128):
            adam.zero_grad()
            loss = nn.functional.mse_loss(module(u[batch], m[batch]), stars[batch])
            loss.backward()
            adam.step()
        last = loss.item()
        first = last if first is None else first
    check(last < first, f"PyTorch has learned nothing: loss {first} to {last}")
    return module, users, movies


def imported(people, films, found):
    """Trained in PyTorch, served here."""
    module, users, movies = trained_in_torch(found)
    n = numbers_of(module)
    about = {"user_ids": json.dumps(users), "movie_ids": json.dumps(movies)}
    low, high = 2.5, 4.0
    scaled = {**about, "kind": "neural-cf", "params": json.dumps({"rating_min": low, "rating_max": high})}
    for kind, dtype, metadata, scale in (("F32", torch.float32, about, None), ("F64", torch.float64, about, None), ("F16", torch.float16, about, None),
                                         ("BF16", torch.bfloat16, about, None), ("F32 with a scale", torch.float32, scaled, (low, high))):
        state = {k: v.to(dtype).contiguous() for k, v in module.state_dict().items()}
        save_file(state, work / "torch.safetensors", metadata)
        said = run("models", "import", "torch_cf", str(work / "torch.safetensors"))
        check(f"parameters {n:,}" in said, f"PyTorch counts {n:,} parameters, the import says {said}")
        version = newest("torch_cf")
        rounded = NeuralCF(len(users), len(movies), 24, (40, 17, 9))
        rounded.load_state_dict({k: v.float() for k, v in state.items()})
        expected = by_torch(rounded, users, movies, scale)
        most = farthest("torch_cf", version, people + ["nobody"], films, expected)
        check(most <= CLOSE, f"{kind}: PyTorch predicts otherwise, by {most}")
        query = f"model=torch_cf&version={version}"
        one = got(f"{models}/recommend?{query}", {"user_id": people[0], "k": 10, "exclude_seen": False, "record": False})
        check(one["model_name"] == "torch_cf" and one["model_version"] == version and len(one["items"]) == 10, f"{one}")
        raw = by_torch(rounded, users, movies)
        best = sorted(raw(people[0], films), reverse=True)[:10]
        check(max(abs(a - i["score"]) for a, i in zip(best, one["items"])) <= CLOSE, f"{kind}: the list is {one['items']}, PyTorch's best are {best}")
        of = raw(people[0], [i["movie_id"] for i in one["items"]])
        check(max(abs(a - i["score"]) for a, i in zip(of, one["items"])) <= CLOSE, f"{kind}: scores of the list are other films'")
        ok(f"trained in PyTorch, served here: {kind}", f"version {version}, {n:,} parameters, within {most:.1e}")
    # Which version answers is said in the query: the first has no scale, the last has.
    plain, cut = (farthest("torch_cf", v, people, films, by_torch(module, users, movies, s)) for v, s in ((1, None), (newest("torch_cf"), (low, high))))
    check(plain <= CLOSE and cut <= CLOSE, f"versions are mixed up: {plain}, {cut}")
    ok("each version answers by its number")


def onnx_graphs(people, films):
    """Exported as ONNX, checked, and run by onnxruntime."""
    for algorithm, flags in (("neural_cf", None), ("torch_cf", None), ("mf", ("--param", "mf.burn=5", "--param", "mf.samples=4")), ("svdpp", ("--param", "svdpp.epochs=5")),
                             ("bpr", ("--param", "bpr.epochs=5"))):
        if flags:
            run("train", algorithm, *flags)
        version = newest(algorithm)
        file = work / f"{algorithm}-{version}.onnx"
        run("models", "export", algorithm, str(version), str(file))
        raw = file.read_bytes()
        status, again = ask(f"{main}/api/v1/models/{algorithm}/versions/{version}/weights?format=onnx")
        check(status == 200 and again == raw, f"{algorithm}: over HTTP it is another file")
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        onnx.checker.check_model(onnx.shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True))
        about = {p.key: json.loads(p.value) for p in graph.metadata_props}
        users, items = about["user_ids"], about["item_ids"]
        session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
        inputs, output = [i.name for i in session.get_inputs()], session.get_outputs()[0].name
        check(inputs == ["user", "item"] and len(session.get_outputs()) == 1, f"{algorithm}: {inputs} to {output}")

        def by_onnx(user, films):
            rows = numpy.array([items.index(f) if f in items else -1 for f in films], numpy.int64)
            who = numpy.full(len(films), users.index(user) if user in users else -1, numpy.int64)
            return session.run([output], {"user": who, "item": rows})[0].tolist()

        if algorithm == "bpr":
            check(output == "score", f"bpr gives {output}")
            for user in people[:10]:
                one = got(f"{models}/recommend?model=bpr&version={version}", {"user_id": user, "k": 10, "exclude_seen": False, "record": False})
                mine, theirs = [i["score"] for i in one["items"]], by_onnx(user, [i["movie_id"] for i in one["items"]])
                check(all(a >= b for a, b in zip(theirs, theirs[1:])) and abs(theirs[0] - max(by_onnx(user, films))) <= CLOSE, f"bpr puts films in another order: {theirs}")
                slope = (mine[0] - mine[-1]) / (theirs[0] - theirs[-1])  # scores of a list are scaled
                check(all(abs(mine[0] - a - slope * (theirs[0] - b)) <= CLOSE for a, b in zip(mine, theirs)), f"bpr: {mine}, onnxruntime {theirs}")
            ok("bpr as ONNX, by onnxruntime", f"{len(raw):,} bytes")
            continue
        check(output == "rating", f"{algorithm} gives {output}")
        most = farthest(algorithm, version, people + ["nobody"], films, by_onnx)
        check(most <= CLOSE, f"{algorithm}: onnxruntime predicts otherwise, by {most}")
        ok(f"{algorithm} as ONNX, by onnxruntime", f"{len(raw):,} bytes, {(len(people) + 1) * len(films)} predictions within {most:.1e}")
    baseline()
    status, answer = ask(f"{main}/api/v1/models/als/versions/1/weights?format=onnx")
    check(status == 409 and b"neural_cf" in answer, f"als as ONNX: {status} {answer!r}")
    status, answer = ask(f"{main}/api/v1/models/neural_cf/versions/1/weights?format=pickle")
    check(status == 400 and json.loads(answer).get("errors", [{}])[0].get("field", json.loads(answer).get("field")) == "format", f"as a pickle: {status} {answer!r}")
    ok("what has no graph is refused")


def baseline():
    """The neural baseline, from features: onnxruntime beside PyTorch with the tensors of its safetensors file."""
    run("train", "movie_predictor", "--epochs", "2")
    version = str(newest("movie_predictor"))
    run("models", "export", "movie_predictor", version, str(work / "baseline.onnx"))
    run("models", "export", "movie_predictor", version, str(work / "baseline.safetensors"))
    onnx.checker.check_model(onnx.load(work / "baseline.onnx"), full_check=True)
    state = load_file(work / "baseline.safetensors")
    x = state["input.mean"] + torch.randn(200, len(state["input.mean"])) / state["input.scale"]
    hidden = torch.relu(nn.functional.linear((x - state["input.mean"]) * state["input.scale"], state["fc1.weight"], state["fc1.bias"]))
    want = nn.functional.linear(hidden, state["fc2.weight"], state["fc2.bias"]).squeeze(-1).clamp(0, 5)
    session = onnxruntime.InferenceSession((work / "baseline.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    got = session.run(["rating"], {"features": x.numpy()})[0]
    most = max(abs(a - b) for a, b in zip(got.tolist(), want.tolist()))
    check(most <= CLOSE, f"movie_predictor: onnxruntime predicts otherwise than PyTorch, by {most}")
    ok("movie_predictor as ONNX, by onnxruntime", f"{x.shape[1]} features, {len(x)} predictions within {most:.1e}")


def bad_files(people, films):
    """What is wrong is refused, says why, and changes nothing."""
    whole = (work / "ours.safetensors").read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8:8 + length]), whole[8 + length:]

    def file(h, d=data, claimed=None):
        b = h if isinstance(h, bytes) else json.dumps(h).encode()
        return struct.pack("<Q", len(b) if claimed is None else claimed) + b + d

    def changed(name, **fields):
        h = json.loads(json.dumps(header))
        h[name].update(fields)
        return h

    def without(name):
        return {k: v for k, v in header.items() if k != name}

    check(header["user_embedding.weight"]["data_offsets"][0] == 0, "people do not come first")
    w, at = "mlp.0.weight", header["mlp.0.weight"]["data_offsets"][0]
    nan, inf, large = (data[:at] + struct.pack("<f", v) + data[at + 4:] for v in (math.nan, math.inf, 3e38))
    large = struct.pack("<f", 3e38) + large[4:]  # of the first person too
    raw = json.dumps(header).encode()
    twice = raw[:-1] + b', "output.bias": ' + json.dumps(header["output.bias"]).encode() + b"}"
    bad = {
        "nothing": (b"", "shorter"), "half": (whole[:len(whole) // 2], "claims the bytes"), "a header longer than the file": (file(raw, claimed=1 << 62), "header claims"),
        "a huge header": (struct.pack("<Q", 200_000_000) + raw, "header claims"), "no JSON": (file(b"{" + raw), "no JSON"), "a pickle": (b"\x80\x02}q\x00(" + whole, "header claims"),
        "NaN": (file(raw, nan), "want finite"), "infinity": (file(raw, inf), "want finite"), "weights that overflow": (file(raw, large), "may reach"),
        "a shape that is too large": (file(changed(w, shape=[128, 129])), "mlp.0.weight"), "a negative shape": (file(changed(w, shape=[-128, -128])), "shape"),
        "turned round": (file(changed("mlp.3.weight", shape=header["mlp.3.weight"]["shape"][::-1])), "has shape"),
        "bytes beyond the file": (file(changed(w, data_offsets=[at, 1 << 40])), "claims the bytes"), "bytes of another tensor": (file(changed("mlp.0.bias", data_offsets=[at, at + 512])), "claims the bytes"),
        "an unknown type": (file(changed(w, dtype="F8_E4M3")), "F8_E4M3"), "a name twice": (file(twice), "twice"), "a tensor is missing": (file(without("output.bias")), ""),
        "no ids": (file(without("__metadata__")), "no user_ids"), "too few ids": (file(changed("__metadata__", user_ids='["1"]')), "user_ids has 1 ids"),
        "ids that are none": (file(changed("__metadata__", user_ids="7")), "no JSON array"),
    }
    before = got(f"{main}/api/v1/log/topics")
    for what, (raw_file, says) in bad.items():
        status, answer = ask(f"{main}/api/v1/ops/models/torch_cf/import", raw_file, "application/octet-stream")
        check(status == 400 and says.encode() in answer, f"{what}: {status} {answer[:600]!r}; want 400 that says {says!r}")
    check(got(f"{main}/api/v1/log/topics") == before, "what was refused is in the log")
    most = farthest("torch_cf", 1, people[:3], films, lambda user, films: [p["rating"] for p in predicted("torch_cf", 1, user, films)["predictions"]])
    check(most == 0, "after bad files it predicts otherwise")
    ok("bad files are refused", f"{len(bad)} kinds, with 400 and why")


found = rated(work / "set")
people = sorted({u for u, _, _ in found})
films = [m["movie_id"] for m in got(f"{main}/api/v1/movies?limit=500")["items"]]
print("-", f"PyTorch {torch.__version__}, safetensors {safetensors.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__};",
      f"{len(found)} ratings of {len(people)} people, {len(films)} films", flush=True)
exported(people, films)
imported(people, films, found)
onnx_graphs(people, films)
bad_files(people, films)
