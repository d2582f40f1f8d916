package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
)

// TestSignals: what acts mean is said in one place, and changes by an event. A film that was only shown to a person
// stays in their list and is not popular; under a definition by which to be shown a film is to have seen it, it is
// not in the list any more, also for acts of the past; the views then equal their fold; and the definition holds
// across a restart.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	a := openAt(t, dir)
	do := func(c commands.Command) {
		t.Helper()
		if _, err := a.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	const films = 5
	for i := range films {
		do(&commands.ListMovie{Movie: events.Movie{MovieID: fmt.Sprint(i), Title: "a film"}, Dataset: "test"})
	}
	act := func(user, film, kind string) {
		t.Helper()
		x := events.Interaction{UserID: user, MovieID: film, Kind: kind, Timestamp: "2024-01-02T03:04:05Z"}
		if _, err := a.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: x}}, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range films {
		act("7", fmt.Sprint(i), "impression")
	}
	act("7", "0", "like")
	act("7", "1", "click")
	list := func() string {
		t.Helper()
		settle(t, a)
		now := time.Date(2024, 1, 3, 0, 0, 0, 0, time.UTC)
		res, err := a.Recommend.Recommend(recommend.Request{UserID: "7", K: films, NowMillis: now.UnixMilli(), Current: true})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, it := range res.Items {
			ids = append(ids, it.MovieID)
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	if got := list(); got != "2 3 4" {
		t.Errorf("the list is of %q, want 2 3 4", got)
	}
	popular, err := a.Recommend.Popular(films)
	if err != nil || len(popular) < 3 || popular[0].Score != 1 || popular[1].Score != 1 || popular[2].Score != 0 {
		t.Errorf("popular: %+v, %v", popular, err)
	}

	text := strings.Replace(signal.DefaultYAML(), "impression: {}", "impression: {seen: 2d}", 1)
	d, err := signal.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	do(&commands.DefineSignals{Definitions: text, Hash: d.Hash()})
	folded(t, a, d.Hash())
	if got := list(); got != "" {
		t.Errorf("under the other definition the list is of %q, want nothing", got)
	}
	equalToFold(t, a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openAt(t, dir)
	if got := a.Views.Definition("online"); got != d.Hash() {
		t.Errorf("after a restart the online view reads by %s, want %s", got, d.Hash())
	}
	if got := list(); got != "" {
		t.Errorf("after a restart the list is of %q, want nothing", got)
	}
	do(&commands.DefineSignals{Definitions: signal.DefaultYAML(), Hash: signal.Default().Hash()})
	folded(t, a, signal.Default().Hash())
	if got := list(); got != "2 3 4" {
		t.Errorf("under the first definition again the list is of %q, want 2 3 4", got)
	}
	equalToFold(t, a)
}

func openAt(t *testing.T, dir string) *app.App {
	t.Helper()
	a, err := app.Open(t.Context(), app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if err := a.Define(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// settle waits until the views have all of the log.
func settle(t *testing.T, a *app.App) {
	t.Helper()
	until(t, "the views to have the log", func() bool {
		all, err := a.Views.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(all, func(s fold.Status) bool { return s.Lag > 0 })
	})
}

func folded(t *testing.T, a *app.App, hash string) {
	t.Helper()
	until(t, "the online view to be folded by "+hash, func() bool { return a.Views.Definition("online") == hash })
}

// until waits for a condition, for five minutes at most.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 5*time.Minute)
	defer done()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited five minutes for %s", what)
		case <-tick.C:
		}
	}
}

func equalToFold(t *testing.T, a *app.App) {
	t.Helper()
	reports, err := a.Views.Verify(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if !r.Equal {
			t.Errorf("%s: %s", r.View, r.Diff)
		}
	}
}
