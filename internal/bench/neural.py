"""PyTorch's side of the bench: one request a line on stdin, one answer a line on stdout, both JSON.

A file of ratings is the rows of people, int32, then those of films, int32, then the stars, float32, little-endian.
"""
import json
import sys
import time

import torch
from torch import nn


class NeuralCF(nn.Module):
    def __init__(self, users, movies, embedding, hidden, dropout, sparse):
        super().__init__()
        self.user_embedding = nn.Embedding(users, embedding, sparse=sparse)
        self.movie_embedding = nn.Embedding(movies, embedding, sparse=sparse)
        layers, width = [], 2 * embedding
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.mlp = nn.Sequential(*layers)
        self.output = nn.Linear(width, 1)

    def forward(self, user, movie):
        return self.output(self.mlp(torch.cat([self.user_embedding(user), self.movie_embedding(movie)], -1))).squeeze(-1)


def epoch(path, users, movies, embedding, hidden, dropout, batch, learning_rate, sparse, threads):
    """Seconds of one pass over the ratings in a random order, and its mean loss. Sparse embeddings are moved by SparseAdam, where a batch has them."""
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    with open(path, "rb") as f:
        raw = bytearray(f.read())
    n = len(raw) // 12
    user, movie = (torch.frombuffer(raw, dtype=torch.int32, count=n, offset=o).long() for o in (0, 4 * n))
    stars = torch.frombuffer(raw, dtype=torch.float32, count=n, offset=8 * n)
    module = NeuralCF(users, movies, embedding, hidden, dropout, sparse)
    embeddings, rest = [], []
    for name, p in module.named_parameters():
        (embeddings if sparse and "embedding" in name else rest).append(p)
    steps = [torch.optim.Adam(rest, lr=learning_rate)] + ([torch.optim.SparseAdam(embeddings, lr=learning_rate)] if embeddings else [])
    module.train()
    total, began = 0.0, time.perf_counter()
    for rows in torch.randperm(n).split(batch):
        for s in steps:
            s.zero_grad()
        loss = nn.functional.mse_loss(module(user[rows], movie[rows]), stars[rows])
        loss.backward()
        for s in steps:
            s.step()
        total += loss.item() * len(rows)
    return {"seconds": time.perf_counter() - began, "loss": total / n, "parameters": sum(p.numel() for p in module.parameters())}


def version():
    return {"version": torch.__version__}


for line in sys.stdin:
    request = json.loads(line)
    call = {"epoch": epoch, "version": version}[request.pop("do")]
    try:
        answer = call(**request)
    except Exception as e:  # told to the bench, which ends
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
