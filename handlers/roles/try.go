package roles

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
)

// Bounds of a try: a list of one person takes some milliseconds.
const (
	triedMax      = 10_000
	triedFilmsMax = 100
)

// triedTold is how many people a try tells of one by one, in the task's log.
const triedTold = 20

// tryModel has a version of a model answer for some people beside what serves, and says what differs. The people are spread evenly over all that the log knew when the task
// was first started; nothing is recorded of what they would have been shown, and nothing is deployed.
func tryModel(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	people, err := strconv.Atoi(args[argPeople])
	if err != nil {
		return nil, err
	}
	k, err := strconv.Atoi(args[argK])
	if err != nil {
		return nil, err
	}
	if w.cfg.Rank == nil {
		return nil, react.Permanent(fault.New(fault.Unavailable, "this process ranks nothing"))
	}
	_, v, err := w.versionNamed(ctx, args[argModel], args[argVersion])
	if err != nil {
		return nil, err
	}
	head, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	set, err := w.cfg.Sets.Load(ctx, w.cfg.Log, head, w.reading)
	if err != nil {
		return nil, err
	}
	all := set.Data.Users
	t := tried{films: [2]map[string]bool{{}, {}}, least: 1}
	for i := range min(people, len(all)) {
		user := all[i*len(all)/min(people, len(all))]
		w.Progress("ask for people", int64(i), int64(min(people, len(all))))
		mine, _, err := w.cfg.Rank(ctx, args[argModel], v.Version, user, k)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Invalid) { // it is the same at the next try
			err = react.Permanent(err)
		}
		if err != nil {
			return nil, err
		}
		served, by, err := w.cfg.Rank(ctx, "", 0, user, k)
		if err != nil {
			return nil, err
		}
		t.take(w, user, mine, served)
		t.by = by
	}
	return t.output(args[argModel], v.Version, k), nil
}

// tried is how the lists of a version and of what serves differ.
type tried struct {
	people, same, first int
	common, least       float64 // sum of, and least share of films that both lists have
	films               [2]map[string]bool
	most                string // who is shown the most other films
	by                  string
}

func (t *tried) take(w *job, user string, mine, served []string) {
	t.people++
	common := 0
	for i, list := range [][]string{mine, served} {
		for _, film := range list {
			t.films[i][film] = true
			if i == 0 && slices.Contains(served, film) {
				common++
			}
		}
	}
	share := 1.
	if n := max(len(mine), len(served)); n > 0 {
		share = float64(common) / float64(n)
	}
	t.common += share
	if share < t.least {
		t.least, t.most = share, user
	}
	if slices.Equal(mine, served) {
		t.same++
	}
	if len(mine) > 0 && len(served) > 0 && mine[0] == served[0] {
		t.first++
	}
	if t.people <= triedTold {
		w.Log().Info("what a person would be shown", "person", user, "in_common", common, "tried", strings.Join(mine, ","), "serving", strings.Join(served, ","))
	}
}

func (t *tried) output(model string, version, k int) map[string]string {
	n := float64(max(t.people, 1))
	only := 0
	for film := range t.films[0] {
		if !t.films[1][film] {
			only++
		}
	}
	return map[string]string{"model": model, "version": strconv.Itoa(version), "serving": t.by, "people": strconv.Itoa(t.people), "k": strconv.Itoa(k), "same": strconv.Itoa(t.same),
		"same_first": number(float64(t.first) / n), "overlap": number(t.common / n), "overlap_least": number(t.least), "most_different": t.most,
		"films": strconv.Itoa(len(t.films[0])), "serving_films": strconv.Itoa(len(t.films[1])), "films_only_tried": strconv.Itoa(only)}
}
