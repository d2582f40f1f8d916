"""Writes a data set in MovieLens' layout, simulated and always the same: 120 people of two tastes who rate 90 films, and 30 films that nobody has rated.

    ratings.py FOLDER
"""
import csv
import pathlib
import random
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
chance = random.Random(1)
with open(folder / "movies.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["movieId", "title", "genres"])
    for m in range(1, 121):
        out.writerow([m, f"Film {m} ({1980 + m % 40})", ["Drama", "Comedy"][m % 2]])
with open(folder / "ratings.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["userId", "movieId", "rating", "timestamp"])
    for n, (u, m) in enumerate(sorted(((u, m) for u in range(1, 121) for m in chance.sample(range(1, 91), 40)), key=lambda _: chance.random())):
        stars = [4.2, 2.4][(u + m) % 2] + chance.gauss(0, 0.6)
        out.writerow([u, m, min(5, max(0.5, round(2 * stars) / 2)), 1_000_000_000 + 1000 * n])
