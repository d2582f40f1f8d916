"""implicit's side of the bench: one request a line on stdin, one answer a line on stdout, both JSON.

A matrix is a file of int64 rows, columns, pairs, then int64 row starts, then int32 columns (CSR; all
values are 1), little-endian. Factors are float32, row by row: the users', then the items'.
"""
import importlib.metadata
import json
import sys
import time

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares


def write(path, matrix):
    with open(path, "wb") as f:
        f.write(np.array([*matrix.shape, matrix.nnz], "<i8").tobytes())
        f.write(matrix.indptr.astype("<i8").tobytes())
        f.write(matrix.indices.astype("<i4").tobytes())


def read(path):
    with open(path, "rb") as f:
        rows, columns, pairs = np.fromfile(f, "<i8", 3)
        starts = np.fromfile(f, "<i8", rows + 1)
        indices = np.fromfile(f, "<i4", pairs)
    return sp.csr_matrix((np.ones(pairs, np.float32), indices, starts.astype(np.int32)), shape=(rows, columns))


def matrix(path, users, items, draws):
    """A random matrix: people alike, items by a Pareto distribution."""
    rng = np.random.default_rng(1)
    item = (rng.pareto(1.2, draws) * 60).astype(int) % items
    m = sp.csr_matrix((np.ones(draws, np.float32), (rng.integers(0, users, draws), item)), shape=(users, items))
    m.sum_duplicates()
    m.sort_indices()
    m.data[:] = 1
    write(path, m)
    return {"pairs": int(m.nnz)}


def sweep(path, factors, cg, threads, sweeps):
    """Seconds of each sweep over all users and items, preparation left out."""
    took = []
    model = AlternatingLeastSquares(factors=factors, iterations=sweeps, use_cg=cg, num_threads=threads, random_state=1)
    model.fit(read(path), show_progress=False, callback=lambda iteration, elapsed, *_: took.append(elapsed))
    return {"seconds": took}


def train(path, out, factors, sweeps, regularization, alpha, seed):
    model = AlternatingLeastSquares(factors=factors, iterations=sweeps, regularization=regularization, alpha=alpha, random_state=seed)
    model.fit(read(path), show_progress=False)
    with open(out, "wb") as f:
        f.write(model.user_factors.astype("<f4").tobytes())
        f.write(model.item_factors.astype("<f4").tobytes())
    return {}


def ease(path, out, regularization):
    """Seconds of EASE (Steck 2019), from the matrix in memory to the weights, which are written, row by row."""
    x = read(path)
    began = time.perf_counter()
    gram = (x.T @ x).toarray()
    gram[np.diag_indices_from(gram)] += regularization
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    took = time.perf_counter() - began
    with open(out, "wb") as f:
        f.write(np.ascontiguousarray(weights, "<f4").tobytes())
    return {"seconds": took}


def version(of="implicit"):
    return {"version": importlib.metadata.version(of)}


for line in sys.stdin:
    request = json.loads(line)
    call = {"matrix": matrix, "sweep": sweep, "train": train, "ease": ease, "version": version}[request.pop("do")]
    try:
        answer = call(**request)
    except Exception as e:  # told to the bench, which ends
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
