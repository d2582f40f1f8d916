"""The online features of two films and a person, through Feast's SDK: `feast apply`, then `python guide.py`."""

from pathlib import Path

from feast import FeatureStore


def main():
    store = FeatureStore(repo_path=str(Path(__file__).parent))
    features = store.get_online_features(
        features=["movie_features:rating", "movie_features:popularity", "user_features:age", "user_features:genre_preference"],
        entity_rows=[{"movie_id": 1, "user_id": 1}, {"movie_id": 2, "user_id": 1}],
    ).to_dict()
    for name, values in features.items():
        print(f"{name}: {values}")


if __name__ == "__main__":  # `feast apply` imports every file of the folder
    main()
