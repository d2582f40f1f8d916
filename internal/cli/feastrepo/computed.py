"""What the server computes itself, as its registry has it.

`feast apply` deletes what a repository does not name, so this names it: `movie`, `user`, `movie_features` and whatever else
the definitions in force have (`projectionist features definitions`). Other files may import it from here.
"""

from pathlib import Path

from feast import FeatureStore

_store = FeatureStore(repo_path=str(Path(__file__).parent))
for _thing in [*_store.list_entities(), *_store.list_feature_views(), *_store.list_feature_services()]:
    if "projectionist" in _thing.tags:
        globals()[_thing.name] = _thing
