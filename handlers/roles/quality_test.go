package roles_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// taker takes commands, and refuses the first so many, and all of an hour.
type taker struct {
	mu     sync.Mutex
	refuse int
	never  string
	got    []events.QualityJudged
	taken  chan struct{}
}

func (k *taker) Dispatch(_ context.Context, c commands.Command, _ handlers.Meta) (handlers.Result, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if hour := c.(*commands.JudgeQuality).Hour; k.refuse > 0 || hour == k.never {
		k.refuse--
		return handlers.Result{}, errors.New("the log takes nothing for now")
	}
	if err := c.Validate(); err != nil {
		panic(err)
	}
	k.got = append(k.got, c.(*commands.JudgeQuality).QualityJudged)
	select {
	case k.taken <- struct{}{}:
	default:
	}
	return handlers.Result{}, nil
}

// judged is a judge at work with a model that learns what it is told, and a clock.
type judged struct {
	*roles.Judge
	*taker
	t     *testing.T
	model *online.Model
	clock time.Time
	cost  time.Duration // of a ranking
	by    int           // version that ranks
	next  map[int32]int64
	stop  func()
}

func newJudged(t *testing.T, refuse int) *judged {
	k := &taker{refuse: refuse, taken: make(chan struct{}, 1)}
	j := &judged{taker: k, t: t, model: online.New(), clock: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC), by: 1, next: map[int32]int64{}}
	here := make(chan struct{})
	j.Judge = &roles.Judge{Dispatcher: k, Since: streams.Cut{streams.TP{Topic: events.UserEventsTopic, Partition: 2}: 1}, Here: func() bool { return true },
		Hold: sync.OnceValue(func() error { close(here); return errors.New("what is deployed cannot be had") }),
		Now:  func() time.Time { return j.clock },
		Rank: func(l *projections.Learning) (events.QualityJudged, bool) {
			j.clock = j.clock.Add(j.cost)
			if l.Act.MovieID == "panic" {
				panic("a defect")
			}
			return events.QualityJudged{ModelName: "als", ModelVersion: j.by, Sources: []string{"served"}, Acts: []events.JudgedAct{{Films: 9, Ranks: []int{3}}}}, l.Act.MovieID != "unranked"
		}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { j.Run(ctx); close(ended) }()
	<-here
	j.stop = func() { stop(); <-ended }
	return j
}

// act has an act learned, judged or not.
func (j *judged) act(partition int32, user, film, kind string, stars float64, at time.Time, actor string) {
	x := &events.Interaction{UserID: user, MovieID: film, Kind: kind, Rating: stars}
	in := &fold.Input{Position: streams.Position{TP: streams.TP{Topic: events.UserEventsTopic, Partition: partition}, Offset: j.next[partition]}, RecordedMillis: j.clock.UnixMilli(),
		Event: &events.Event{ID: fmt.Sprint(partition, "/", j.next[partition]), Source: "/test", Time: at, Actor: actor, Data: x}}
	j.next[partition]++
	meaning := signal.Default().Of(kind, stars)
	j.Learning(&projections.Learning{Model: j.model, Input: in, Act: x, Signal: meaning})
	j.model.Add(user, film, at.UnixMilli(), events.FactHash(in.Event.Source, in.Event.ID, x), meaning)
}

// positions are those that were recorded, and how many acts they stand for.
func (j *judged) positions() (at []string, of int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	slices.SortStableFunc(j.got, func(a, b events.QualityJudged) int { return strings.Compare(a.Hour, b.Hour) }) // an hour may come after the next
	for _, x := range j.got {
		for _, a := range x.Acts {
			at, of = append(at, a.Position), of+a.Of
		}
	}
	return at, of
}

// Acts are judged that say what people choose, once, as they come.
func TestWhatIsJudged(t *testing.T) {
	j := newJudged(t, 1) // what cannot be recorded at first is at the end
	now := j.clock
	j.act(0, "1", "7", "click", 0, now, "")                         // 0@0
	j.act(0, "1", "7", "rating", 5, now.Add(time.Second), "")       // met already
	j.act(0, "1", "8", "dislike", 0, now.Add(time.Second), "")      // refused
	j.act(0, "1", "8", "rating", 1, now.Add(2*time.Second), "")     // refused
	j.act(0, "1", "9", "impression", 0, now.Add(2*time.Second), "") // shown
	j.act(0, "1", "9", "rating", 4, now.Add(3*time.Second), "")     // 0@5: a stranger to the film
	j.act(0, "1", "10", "click", 0, now, "")                        // the model knows what came afterwards
	j.act(0, "2", "9", "click", 0, now.Add(-2*time.Hour), "")       // late
	j.act(0, "2", "10", "click", 0, now, events.ActorImporter)
	j.act(0, "3", "panic", "click", 0, now, "")
	j.act(0, "3", "unranked", "click", 0, now, "")
	j.act(0, "3", "10", "like", 0, now, "")                    // 0@11, and for the two before it
	j.act(1, "4", "7", "view", 0, now.Add(40*time.Minute), "") // 1@0, of the next hour
	j.by = 2
	j.act(1, "4", "8", "view", 0, now.Add(40*time.Minute), "") // 1@1, by another version
	j.act(2, "5", "8", "view", 0, now, "")                     // the log had it before
	j.act(2, "5", "9", "view", 0, now, "")                     // 2@1
	j.stop()
	j.act(2, "5", "7", "view", 0, now, "") // nobody judges any more
	at, of := j.positions()
	if want := []string{"user-events/0@0", "user-events/0@5", "user-events/0@11", "user-events/2@1", "user-events/1@0", "user-events/1@1"}; !slices.Equal(at, want) || of != 8 {
		t.Errorf("judged are %v of %d, want %v", at, of, want)
	}
	if len(j.got) != 4 || j.got[0].Hour != "2024-01-15T10" || j.got[2].Hour != "2024-01-15T11" || j.got[1].ModelVersion != 2 || len(j.got[0].Acts) != 3 {
		t.Errorf("recorded are %+v", j.got)
	}
}

// An hour whose stream takes nothing, as one of a newer release does, holds up no other.
func TestAnHourThatTakesNothing(t *testing.T) {
	j := newJudged(t, 0)
	j.mu.Lock()
	j.never = "2024-01-15T10"
	j.mu.Unlock()
	j.act(0, "1", "7", "click", 0, j.clock, "")
	j.act(1, "4", "7", "view", 0, j.clock.Add(40*time.Minute), "") // of the next hour
	j.act(0, "2", "8", "click", 0, j.clock, "")
	j.stop()
	if at, of := j.positions(); !slices.Equal(at, []string{"user-events/1@0"}) || of != 1 {
		t.Errorf("recorded are %v of %d", at, of)
	}
}

// Where acts come fast a sample is judged, which says for how many it stands, and takes a twentieth of the time; when they come slowly again, all are.
func TestSampleOfWhatIsJudged(t *testing.T) {
	j := newJudged(t, 0)
	j.cost = 2 * time.Millisecond
	person := 0
	some := func(n int, every time.Duration) (judged int) {
		before := j.clock
		var cost time.Duration
		for range n {
			person++
			was := j.clock
			j.act(0, fmt.Sprint(person), "7", "click", 0, j.clock, "")
			if j.clock != was {
				judged++
				cost += j.clock.Sub(was)
			}
			j.clock = j.clock.Add(every)
		}
		if past := j.clock.Sub(before); past > 10*time.Second && cost > past/15 {
			t.Errorf("judging took %v of %v", cost, past)
		}
		return judged
	}
	if n := some(50, 100*time.Millisecond); n != 50 {
		t.Errorf("of 50 acts, ten a second, %d were judged", n)
	}
	fast := some(20_000, time.Millisecond)
	if fast < 200 || fast > 500 {
		t.Errorf("of 20,000 acts in 20 s %d were judged", fast)
	}
	some(200, 200*time.Millisecond) // until it has found out
	if n := some(50, 200*time.Millisecond); n != 50 {
		t.Errorf("of 50 acts, five a second, %d were judged", n)
	}
	last := person
	j.stop()
	at, of := j.positions()
	if of != last || len(at) > 800 {
		t.Errorf("%d judged acts stand for %d of %d", len(at), of, last)
	}
}

// Whether somebody has met a film is looked for in histories for a sample alone, which takes a twentieth of the time; what is judged of it stands for as many
// acts as could have been judged.
func TestHistoriesAreReadForTheSample(t *testing.T) {
	j := newJudged(t, 0)
	calls := 0
	j.Judge.Now = func() time.Time { calls++; j.clock = j.clock.Add(time.Millisecond); return j.clock }
	j.act(0, "0", "7", "click", 0, j.clock, "")
	const repeats = 5000
	for range repeats { // each asks for the time once, and once more where the history is read
		j.act(0, "0", "7", "click", 0, j.clock, "")
	}
	if read := calls - 2 - repeats; read < 10 || read > repeats/10 {
		t.Errorf("for %d films that were met a history was read %d times", repeats, read)
	}
	const people = 10_000
	for n := range people { // everybody meets the film, and then again
		for range 2 {
			j.act(1, fmt.Sprint(n+1), "7", "click", 0, j.clock, "")
		}
	}
	j.stop()
	if at, of := j.positions(); of < 1+people*3/4 || of > 1+people*5/4 || len(at) > people/10 {
		t.Errorf("%d acts that were judged stand for %d of %d", len(at), of, people+1)
	}
}

// While nothing can be recorded so many acts wait, the first ones, and those are recorded in the end.
func TestJudgedActsThatWaitAreBounded(t *testing.T) {
	const most = 8 * commands.QualityActsMax
	j := newJudged(t, 1_000_000)
	for n := range most + 300 {
		j.clock = j.clock.Add(50 * time.Millisecond)
		j.act(0, fmt.Sprint(n), "7", "click", 0, j.clock, "")
	}
	j.mu.Lock()
	j.refuse = 0
	j.mu.Unlock()
	j.stop()
	at, _ := j.positions()
	if len(at) != most || at[0] != "user-events/0@0" || at[most-1] != fmt.Sprintf("user-events/0@%d", most-1) {
		t.Errorf("%d acts are recorded, want the first %d", len(at), most)
	}
}
