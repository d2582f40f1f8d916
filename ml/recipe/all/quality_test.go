package all_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/internal/recipetest"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// least are the figures that a recipe has to reach; rmse, where it predicts ratings, is the most there may be.
type least struct{ hr, ndcg, rmse float64 }

// Every recipe on both real data sets: each person's last like ranked among all films they have not met, and for those that
// predict ratings the error, in stars, of one random fifth. Data, seeds and kernels give the same bits each time, so a fall is a
// change of the code. What is least is 3 % below what was last seen (of an error 1 % above). Dense matrices have 2,500 films
// here, which takes seconds.
func TestQuality(t *testing.T) {
	fewer := map[string]map[string]string{"ease": {"ease.films": "2500"}, "nextitem": {"nextitem.films": "2500"},
		"blend": {"ease.films": "2500", "nextitem.films": "2500"}}
	for set, figures := range map[string]map[string]least{
		"ml-latest-small": {
			"popularity": {.0247, .0088, 0}, "itemknn": {.1020, .0563, 0}, "bpr": {.0806, .0452, 0}, "als": {.1299, .0700, 0},
			"ease": {.1201, .0661, 0}, "nextitem": {.1234, .0679, 0}, "blend": {.1398, .0749, 0}, "mf": {0, 0, .8304}, "svdpp": {0, 0, .8375},
		},
		"movietweetings-100k": {
			"popularity": {.1896, .0959, 0}, "itemknn": {.1929, .1014, 0}, "bpr": {.1552, .0820, 0}, "als": {.2561, .1516, 0},
			"ease": {.1896, .1013, 0}, "nextitem": {.1951, .1147, 0}, "blend": {.2483, .1474, 0}, "mf": {0, 0, .7607}, "svdpp": {0, 0, .7609},
		},
	} {
		t.Run(set, func(t *testing.T) {
			in := recipetest.Real(t, set)
			for _, name := range slices.Sorted(maps.Keys(figures)) {
				r, err := all.Find(name)
				if err != nil {
					t.Fatal(err)
				}
				want := figures[name]
				if r.Predicts {
					e := recipetest.RMSE(t, r, in, nil, 1)
					if t.Logf("%-10s RMSE %.4f", name, e); e > 1.01*want.rmse {
						t.Errorf("%s has the RMSE %.4f; the most is 1 %% above %.4f", name, e, want.rmse)
					}
					continue
				}
				got := recipetest.LeaveLast(t, r, in, fewer[name], 1000)
				t.Logf("%-10s HR@10 %.4f NDCG@10 %.4f of %d people", name, got.HR, got.NDCG, got.People)
				if got.HR < .97*want.hr || got.NDCG < .97*want.ndcg {
					t.Errorf("%s has HR@10 %.4f and NDCG@10 %.4f; the least is 3 %% below %.4f and %.4f", name, got.HR, got.NDCG, want.hr, want.ndcg)
				}
			}
		})
	}
}
