package fold_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// silent is a log whose feed hands nothing along.
type silent struct{ streams.Log }

func (l silent) Feed() streams.Feed { return struct{ streams.Feed }{l.Log.Feed()} }

// Facts that are folded as their publishers had them give every view, to the byte, what reading them from the log gives:
// in a second fold of the same records that reads each, and in a replay.
func TestCarriedFactsFoldAsReadOnes(t *testing.T) {
	log, err := local.OpenMem(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	carried, stop := running(t, log, testStore(t))
	defer stop()
	read, end := running(t, silent{log}, testStore(t))
	defer end()
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	expected := uint64(0) // of those that are not ahead of the log: others are read, and no view can fold them
	for i := range 1200 {
		at := time.UnixMilli(rng.Int64N(events.TimeMillisEnd)).UTC()
		ev := events.Event{ID: fmt.Sprint("e", i), Source: pick("/projectionist", "/ü"), Subject: pick("", "user/7"), Actor: pick("", "api", "user:ä"),
			Correlation: pick("", "r"), Causation: pick("", "c"), Time: at, Schema: 1,
			Data: &events.Interaction{UserID: fmt.Sprint(rng.IntN(9)), MovieID: pick("1", "2", "名前", "é\u2028<&>", `"q"`), Kind: pick("rating", "view", "hummed", "like"),
				SessionID: pick("", "s", "ß"), Timestamp: pick(events.FormatTime(at), "2024-01-15T10:30:00", "2024-01-15T10:30:00,5-0330"),
				Rating: []float64{4.5, .1 + .2, math.Nextafter(5, 0), 1e-7, 3.3333333333333335}[rng.IntN(5)]}}
		x := ev.Data.(*events.Interaction)
		rec, err := streams.FactRecord(x.UserID, &ev)
		if err != nil {
			t.Fatal(err)
		}
		if !ev.Settled() {
			t.Fatalf("%+v %+v is not settled", ev, x)
		}
		if ev.CheckTime(time.Now()) == nil {
			expected++
		}
		rec.Fact = &ev
		recs := []streams.Record{rec}
		if err := log.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
			t.Fatal(err)
		}
		wait(t, carried, recs)
		wait(t, read, recs)
	}
	if n := log.Stats().Carried; n < expected || expected < 100 || expected > 1100 {
		t.Errorf("%d facts of %d were folded as they were published", n, expected)
	}
	one, other := mustHashes(t, carried), mustHashes(t, read)
	equal(t, "the views", one, other)
	verified(t, carried)
}
