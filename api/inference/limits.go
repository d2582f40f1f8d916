package inference

import "github.com/projectionist/projectionist/projections/recommend"

// Bounds of what is asked for in one request.
const (
	kDefault   = 10
	moviesMax  = recommend.KMax // that one person's ratings are predicted of
	pairsMax   = 10_000         // of a person and a film
	peopleMax  = 1000           // who are ranked for
	similarMax = 100            // films that others are like; each is compared with all
	itemsMax   = 10_000         // of all lists together: some megabytes of an answer
)
