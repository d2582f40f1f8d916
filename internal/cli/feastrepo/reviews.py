"""Features that the server cannot compute: what reviews say of a film. They are pushed to it.

    store.push("reviews", frame)     or POST /push {"push_source_name": "reviews", "df": …}
"""

from datetime import timedelta

from computed import movie, movie_features
from feast import FeatureService, FeatureView, Field, FileSource, PushSource
from feast.types import Array, Float64, Int64, String

# Feast wants a batch source beside a push source. Nothing is ever read from the file: what was pushed is in the server's log.
reviews = PushSource(
    name="reviews",
    batch_source=FileSource(name="movie_reviews", path="unused.parquet", timestamp_field="event_timestamp", created_timestamp_column="created"),
    description="What reviews say, as somebody else reads them",
)

movie_reviews = FeatureView(
    name="movie_reviews",
    entities=[movie],
    ttl=timedelta(days=365),
    description="What reviews say of a film",
    source=reviews,
    schema=[
        Field(name="movie_id", dtype=Int64),
        Field(name="tone", dtype=Float64, description="From -1, a pan, to 1, a rave"),
        Field(name="reviews", dtype=Int64, description="How many there are"),
        Field(name="words", dtype=Array(String), description="That are used most"),
    ],
)

movie_page = FeatureService(
    name="movie_page",
    features=[movie_features[["title", "rating", "popularity"]], movie_reviews],
    description="What a page about a film shows: what is computed, and what reviews say",
)
