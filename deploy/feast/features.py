"""What Projectionist's built-in definitions are, for Feast's registry: the same names and types.

`feast apply` in this folder registers them; values are computed by the server (`projectionist features definitions`
prints how) whenever they are asked for. Of a definitions file of one's own the names and types go here.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Float64, Int64, String

# Ids are numbers in MovieLens. Where yours are texts, such as user_001, write ValueType.STRING.
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64, description="A person who rates, watches and clicks")
movie = Entity(name="movie", join_keys=["movie_id"], value_type=ValueType.INT64, description="A film of the catalogue")

GENRES = ["Action", "Adventure", "Animation", "Biography", "Children", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy", "Film-Noir",
          "History", "Horror", "Music", "Musical", "Mystery", "Romance", "Sci-Fi", "Sport", "Thriller", "War", "Western"]


def by_genre(prefix):
    return [Field(name=prefix + genre.lower().replace("-", "_"), dtype=Float64) for genre in GENRES]


def source(name):
    # Feast wants a source of each view. Nothing is ever read from it: the server computes from its log.
    return FileSource(name=name, path="unused.parquet", timestamp_field="event_timestamp")


movie_features = FeatureView(
    name="movie_features",
    entities=[movie],
    ttl=timedelta(0),
    description="How a film is rated and how popular it is, and what the catalogue says of it",
    source=source("movie_log"),
    schema=[
        Field(name="rating", dtype=Float64, description="Mean rating, drawn towards 3.5 by ten ratings' worth of prior"),
        Field(name="rating_mean", dtype=Float64, description="Plain mean of the ratings"),
        Field(name="rating_count", dtype=Int64),
        Field(name="interaction_count", dtype=Int64),
        Field(name="popularity", dtype=Float64, description="Interactions; each loses half its weight in 30 days"),
        Field(name="interactions_7d", dtype=Int64),
        Field(name="interactions_30d", dtype=Int64),
        Field(name="rating_mean_90d", dtype=Float64),
        Field(name="recency_days", dtype=Float64, description="Days since the last interaction"),
        Field(name="age_days", dtype=Float64, description="Days since the first interaction"),
        Field(name="title", dtype=String),
        Field(name="year", dtype=Int64),
        Field(name="age_years", dtype=Int64, description="Calendar years since the year of release"),
        Field(name="genre", dtype=Array(String)),
        *by_genre("genre_"),
    ],
)

user_features = FeatureView(
    name="user_features",
    entities=[user],
    ttl=timedelta(0),
    description="How old a person is, how active, how they rate, and which genres they turn to",
    source=source("user_log"),
    schema=[
        Field(name="age", dtype=Int64, description="The person's age in years, where a source says it; of an age group its lower end"),
        Field(name="account_age_days", dtype=Int64, description="Whole days since the first interaction"),
        Field(name="interaction_count", dtype=Int64),
        Field(name="rating_count", dtype=Int64),
        Field(name="rating_mean", dtype=Float64),
        Field(name="movie_count", dtype=Int64),
        Field(name="recency_days", dtype=Float64),
        Field(name="activity_7d", dtype=Int64),
        Field(name="activity_30d", dtype=Int64),
        Field(name="activity_90d", dtype=Int64),
        Field(name="active_days_30d", dtype=Int64),
        Field(name="genre_preference", dtype=String, description="The genre of most of the person's interactions"),
        Field(name="genres_preferred", dtype=Array(String)),
        *by_genre("genre_preference_"),
        *by_genre("genre_rating_"),
    ],
)

ranking = FeatureService(name="ranking", features=[user_features, movie_features],
                         description="Every feature of both, for the training and the serving of a ranking model")
movie_card = FeatureService(name="movie_card", description="What a page about a film shows",
                            features=[movie_features[["title", "year", "genre", "rating", "rating_count", "popularity"]]])
