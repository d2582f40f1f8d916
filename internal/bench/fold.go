package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// userCounts is a view that counts each user's events: what goka's peer does, no more and no less. Every
// count it changes is in the store when its chunk is, in one batch with the cursor.
type userCounts struct{ r fold.Reader }

func (v *userCounts) Spec() fold.Spec {
	return fold.Spec{Name: "user_counts", Format: 1, Topics: []string{events.UserEventsTopic}}
}

func (v *userCounts) Open(r fold.Reader) error {
	v.r = r
	return nil
}

func (v *userCounts) Apply(w fold.Writer, in []fold.Input) error {
	counts := map[string]int64{}
	for i := range in {
		x, ok := in[i].Event.Data.(*events.Interaction)
		if !ok {
			return fold.PoisonAt(&in[i], fmt.Errorf("an event of type %s; want interactions only", in[i].Event.Type()))
		}
		counts[x.UserID]++
	}
	for user, n := range counts {
		b, ok, err := w.Get([]byte(user))
		if err != nil {
			return err
		}
		if ok {
			n += int64(binary.BigEndian.Uint64(b))
		}
		if err := w.Set([]byte(user), binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
			return err
		}
	}
	return nil
}

func (v *userCounts) Flush(fold.Writer) error { return nil }

// totals are how many users have a count, and the counts' sum.
func (v *userCounts) totals() (users, sum int64, err error) {
	for kv, err := range v.r.Scan(nil, nil) {
		if err != nil {
			return 0, 0, err
		}
		users++
		sum += int64(binary.BigEndian.Uint64(kv.Value))
	}
	return users, sum, nil
}

// fold counts each user's events from a topic on Kafka, in turns with goka.
func (b *bench) fold() error {
	c, err := b.kafka()
	if err != nil {
		return err
	}
	l, ends, err := b.filledLog(c)
	if err != nil {
		return err
	}
	defer l.Close()
	goka, err := c.start(b.ctx, "goka", c.address)
	if err != nil {
		return err
	}
	defer goka.close() //nolint:errcheck // nothing is asked of it any more
	total := sum(ends)
	cut := streams.Cut{}
	for n, end := range ends {
		cut[streams.TP{Topic: events.UserEventsTopic, Partition: int32(n)}] = end
	}
	var ours, theirs []float64
	err = b.eachRun(func(run int) error {
		users, rate, err := b.countUsers(l, cut, total)
		if err != nil {
			return err
		}
		ours = append(ours, rate)
		dir, err := b.folder("goka")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		var a peerAnswer
		if err := goka.call(map[string]any{"do": "fold", "topic": replayPrefix + events.UserEventsTopic, "ends": ends,
			"group": "counts-" + strconv.Itoa(run), "dir": dir}, &a); err != nil {
			return err
		}
		if a.Keys != users || a.Sum != total || len(a.Took) != 1 {
			return fmt.Errorf("goka has counted %d events of %d users; want %d of %d", a.Sum, a.Keys, total, users)
		}
		theirs = append(theirs, float64(total)/a.Took[0])
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "from Kafka: a view of one counter per user, " + thousands(total) + " JSON events, from the runner's start to state and cursor in the store", unit: perSecond,
		ours: ours, peer: theirs, peerName: goka.name + " with its defaults (table in LevelDB and its changelog topic), first callback to last", aim: ratioAtLeast(3)})
	return nil
}

// countUsers folds the view into an empty store and returns how many users it has, and the events per second.
func (b *bench) countUsers(l streams.Log, cut streams.Cut, total int64) (users int64, rate float64, err error) {
	dir, err := b.folder("counts")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	store, err := fold.OpenStore(dir, fold.StoreOptions{})
	if err != nil {
		return 0, 0, err
	}
	defer store.Close()
	view := &userCounts{}
	t := time.Now()
	if _, err := fold.Replay(b.ctx, l, store, cut, nil, func() fold.View { return view }); err != nil {
		return 0, 0, err
	}
	rate = float64(total) / time.Since(t).Seconds()
	users, counted, err := view.totals()
	if err == nil && counted != total {
		err = fmt.Errorf("the view has counted %d events of %d", counted, total)
	}
	return users, rate, err
}
