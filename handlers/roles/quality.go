package roles

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

// Judge scores what serves by what people choose, test-then-learn: it is told of each act before the online model learns of it ([Judge.Learning]), has the film ranked, and
// records ranks in batches as [events.QualityJudged]. It is a part of the role evaluator: where nodes share a log, the node that has that role's place judges.
//
// An act is judged if it makes a film popular (see [signal.Signal.Counted]: it is no dislike), and the person has not met the film, or may be shown it again. Acts of imports are not, since nobody was
// served; nor are those that the log had before the process began, nor late ones, after which the model has learned of the person: it would know what came afterwards.
//
// All are judged while that takes little. Else a sample is, by the hash of the act's id: half of them, a quarter and so on. Whether the person has met the film is looked for in their history, and so for
// acts of the sample alone: one that turns out to be none that is judged stands for those passed over before it, which count as little. What is not recorded when a process is killed, some seconds, is lost.
type Judge struct {
	Dispatcher react.Dispatcher
	Rank       func(*projections.Learning) (events.QualityJudged, bool) // has one act, without place and time
	Hold       func() error                                             // has at hand what Rank ranks by
	Here       func() bool                                              // whether this node is the one that judges
	Since      streams.Cut                                              // acts from here on are judged
	Now        func() time.Time                                         // default time.Now
	Logger     *slog.Logger                                             // default slog.Default

	here   atomic.Bool
	mu     sync.Mutex
	queue  []events.QualityJudged // each of one act
	passed map[streams.TP]passed
	sample sample
	full   chan struct{}
	once   sync.Once
}

// passed are acts of a partition since the last one that was judged.
type passed struct {
	over     int // by the sample, of which nobody knows how many could have been judged
	unranked int // that the next one judged stands for
}

// JudgeHere says whether the role that judges is this node's.
func JudgeHere(stats []react.Stat) bool { return here(stats, nameEvaluator) }

const (
	// judgedEvery is how often what was judged is recorded.
	judgedEvery = 5 * time.Second
	// lastTries is how often it is tried to record what is left at the end, lastPause apart.
	lastTries = 3
	lastPause = 200 * time.Millisecond
	// judgedMax bounds what is not recorded yet.
	judgedMax = 8 * commands.QualityActsMax
	// actLate is by how much an act may come after it happened: what serves was not what was served, otherwise.
	actLate = time.Hour
)

func (j *Judge) setup() {
	j.once.Do(func() {
		if j.Now == nil {
			j.Now = time.Now
		}
		if j.Logger == nil {
			j.Logger = slog.Default()
		}
		j.Logger = j.Logger.With("reactor", nameEvaluator)
		j.passed, j.full = map[streams.TP]passed{}, make(chan struct{}, 1)
	})
}

// Learning judges an act, if it is to be.
func (j *Judge) Learning(l *projections.Learning) {
	j.setup()
	defer func() {
		if p := recover(); p != nil { // the act is learned all the same
			j.Logger.Error("judging what serves met a defect", "position", l.Input.Position.String(), "panic", p)
		}
	}()
	if !j.here.Load() || !j.chosen(l) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	tp := l.Input.Position.TP
	p := j.passed[tp]
	defer func() { j.passed[tp] = p }()
	p.over++
	begin := j.Now()
	if len(j.queue) >= judgedMax || !j.sample.takes(ml.Mix64(events.Hash(0, l.Input.Event.ID)), begin) {
		return
	}
	ranked := false
	defer func() { j.sample.spend(j.Now().Sub(begin), ranked) }()
	if !offered(l) {
		p.over = 0
		return
	}
	p.unranked, p.over = p.unranked+p.over, 0
	ranked = true // or tried
	judged, ok := j.Rank(l)
	if !ok {
		return
	}
	millis := l.Input.Event.Time.UnixMilli()
	judged.Hour = time.UnixMilli(millis).UTC().Format(events.HourLayout)
	a := &judged.Acts[0]
	a.Position, a.TimeMillis, a.Of = l.Input.Position.String(), millis, p.unranked
	p.unranked = 0
	if j.queue = append(j.queue, judged); len(j.queue) >= commands.QualityActsMax {
		select {
		case j.full <- struct{}{}:
		default:
		}
	}
}

// chosen says whether an act says what somebody chose now; it takes no time.
func (j *Judge) chosen(l *projections.Learning) bool {
	at := l.Input.Position
	return at.Offset >= j.Since[at.TP] && l.Input.Event.Actor != events.ActorImporter && l.Signal.Counted() && l.Input.RecordedMillis-l.Input.Event.Time.UnixMilli() <= actLate.Milliseconds()
}

// offered says whether the film of an act could have been on a list of the person just before, as far as the model knows: it goes through all that
// they did.
func offered(l *projections.Learning) bool {
	millis := l.Input.Event.Time.UnixMilli()
	for e := range l.Model.UserEntries(l.Act.UserID) { // newest first
		if e.TimeMillis > millis || l.Model.ItemID(e.Item) == l.Act.MovieID && e.Signal.Hides(e.TimeMillis, millis) {
			return false
		}
	}
	return true
}

// Run records what is judged until ctx ends, and then what is left.
func (j *Judge) Run(ctx context.Context) {
	j.setup()
	tick := time.NewTicker(judgedEvery)
	defer tick.Stop()
	var behind string
	for ctx.Err() == nil {
		j.here.Store(j.Here())
		if j.here.Load() {
			said := ""
			if err := j.Hold(); err != nil {
				said = err.Error()
			}
			if said != behind && said != "" {
				j.Logger.Warn("what is deployed cannot be judged", "error", said)
			}
			behind = said
		}
		full := j.full
		if !j.record(ctx) {
			full = nil // it is tried again at the next tick, however many wait
		}
		select {
		case <-ctx.Done():
		case <-full:
		case <-tick.C:
		}
	}
	j.here.Store(false)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), judgedEvery)
	defer cancel()
	for range lastTries {
		if j.record(last) {
			break
		}
		select {
		case <-last.Done():
		case <-time.After(lastPause):
		}
	}
}

// record records what is in the queue; false if something cannot be for now: it is tried again, and all else of its hour after it. Other hours
// are other streams, which go on.
func (j *Judge) record(ctx context.Context) bool {
	j.mu.Lock()
	queue := j.queue
	j.queue = nil
	j.mu.Unlock()
	var kept []events.QualityJudged
	failed := map[string]bool{} // hours
	for len(queue) > 0 {
		n := 1
		for n < min(len(queue), commands.QualityActsMax) && together(&queue[0], &queue[n]) {
			n++
		}
		if failed[queue[0].Hour] {
			kept, queue = append(kept, queue[:n]...), queue[n:]
			continue
		}
		c := &commands.JudgeQuality{QualityJudged: queue[0]}
		c.Acts = nil
		for i := range queue[:n] {
			c.Acts = append(c.Acts, queue[i].Acts...)
		}
		_, err := j.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "reactor:" + nameEvaluator})
		if err != nil && !fault.Is(err, fault.Invalid) {
			j.Logger.Warn("what was judged of what serves cannot be recorded; it is tried again", "acts", n, "error", err)
			failed[queue[0].Hour] = true
			kept, queue = append(kept, queue[:n]...), queue[n:]
			continue
		}
		if err != nil {
			j.Logger.Error("what was judged of what serves is refused", "acts", n, "error", err)
		}
		queue = queue[n:]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(kept, j.queue...)
	j.queue = j.queue[:min(len(j.queue), judgedMax)] // what came meanwhile is let go of
	return len(kept) == 0
}

// together says whether acts go into one event.
func together(a, b *events.QualityJudged) bool {
	return a.Hour == b.Hour && a.ModelName == b.ModelName && a.ModelVersion == b.ModelVersion && slices.Equal(a.Sources, b.Sources)
}

// sample chooses what is judged, so that judging takes at most a twentieth of the time, and no more than some acts a second.
type sample struct {
	halvings int // how often the share was halved
	since    time.Time
	spent    time.Duration // since then
	taken    int           // and ranked
}

const (
	sampleTime    = 50 * time.Millisecond // of a second
	sampleActs    = 25
	samplePeriod  = time.Second
	halvingsMax   = 20
	sampleHashLen = 64
)

// takes says whether an act with a hash is in the sample. Of one that is, spend is told.
func (s *sample) takes(hash uint64, now time.Time) bool {
	if past := now.Sub(s.since); past >= samplePeriod || past < 0 {
		periods := max(1, int64(past/samplePeriod))
		switch busy := s.spent >= sampleTime || s.taken >= sampleActs; {
		case busy && periods == 1:
			s.halvings = min(s.halvings+1, halvingsMax)
		case !busy && (s.spent < sampleTime/4 && s.taken < sampleActs/4 || periods > 1):
			s.halvings = max(s.halvings-int(min(periods, halvingsMax)), 0)
		}
		s.since, s.spent, s.taken = now, 0, 0
	}
	return (s.halvings == 0 || hash>>(sampleHashLen-s.halvings) == 0) && s.spent < sampleTime && s.taken < sampleActs
}

func (s *sample) spend(d time.Duration, ranked bool) {
	s.spent += d
	if ranked {
		s.taken++
	}
}
