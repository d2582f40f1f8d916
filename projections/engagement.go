package projections

import (
	"cmp"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
)

// Engagement is what came of recommendations, and how people use the program, by day (UTC) of event time:
//
//   - A film that a list showed to a person is taken up if they meet it by an act (to be shown it once more is none, see
//     [signal.Signal.Meets]) within [EngagementWindow] of the last list before the act that showed it to them: last touch. It is liked or disliked if they did that by an act
//     of positive or negative weight, and rated if they did that with stars, of which the last count.
//   - A film that a person meets, by the first act ever by which they do, within [EngagementWindow] of the last list that they were shown, is a hit at k if it is among the first
//     k places of that list.
//   - A session is acts of one person with one session_id; of those that name none, acts without half an hour between two of them, by the minute.
//
// What was imported happened elsewhere, and is not in it; nor are lists for [events.Anonymous], of whom nothing more is heard. Every row is a function of the set of lists and acts, of a rating that was corrected of
// the one that the log took last.
//
//	i USER FILM millis LIST -> flags stars position MODEL version STRATEGY SOURCE     LIST: 8 bytes that stand for a list
//	l USER millis LIST -> films taken up, MODEL version STRATEGY
//	a USER FILM millis KIND RATED -> FactHash partition offset stars flags, of the fact that counts
//	r USER FILM millis KIND FactHash -> the same, of each rating
//	m USER FILM -> millis of the first act that has met the film
//	h USER millis FILM -> nothing                      that act
//	g USER SESSION -> millis of its first act
//	u USER day -> minutes of acts that name no session, 2 bytes each; there for everybody who acted
//	d day MODEL version -> EngagementCounts            day: midnight in milliseconds; of sessions and people without a model
//	y day MODEL version STRATEGY -> EngagementCounts
//	o day MODEL version SOURCE -> EngagementCounts, of films alone
//	p day MODEL version position -> EngagementCounts, of films alone
//	t -> EngagementCounts                              of all days
type Engagement struct {
	meanings
	r fold.Reader
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	// EngagementWindow is how long after a list was shown an act is its doing, in milliseconds: a day, as a view becomes a watch and a rating in
	// one evening.
	EngagementWindow = dayMillis
	minuteMillis     = 60 * 1000
	dayMinutes       = dayMillis / minuteMillis
	sessionGap       = 30 // minutes
	// EngagementPositions is how many places of lists are told apart. Those behind are as one, the next.
	EngagementPositions = 20
)

// What was done with a film that was shown.
const (
	filmTaken byte = 1 << iota
	filmLiked
	filmDisliked
)

// EngagementCounts is how often something was so.
type EngagementCounts struct {
	Lists         uint64 `json:"lists"`            // shown
	ListsTaken    uint64 `json:"lists_taken_up"`   // of these, with a film that was taken up
	Films         uint64 `json:"films"`            // shown, once for each list
	FilmsTaken    uint64 `json:"films_taken_up"`   // of these
	FilmsLiked    uint64 `json:"films_liked"`      // of these
	FilmsDisliked uint64 `json:"films_disliked"`   // of these
	FilmsRated    uint64 `json:"films_rated"`      // of these
	StarsCenti    uint64 `json:"-"`                // that these were rated with, in hundredths, together
	Met           uint64 `json:"films_met"`        // for the first time, within the window of the person's last list
	Hits1         uint64 `json:"hits_at_1"`        // of films met, those that were the first of that list
	Hits5         uint64 `json:"hits_at_5"`        // among the first five
	Hits10        uint64 `json:"hits_at_10"`       // among the first ten
	Hits20        uint64 `json:"hits_at_20"`       // among the first twenty
	Sessions      uint64 `json:"sessions"`         // begun
	People        uint64 `json:"people,omitempty"` // who acted; of a day only
}

func (c *EngagementCounts) numbers() []*uint64 {
	return []*uint64{&c.Lists, &c.ListsTaken, &c.Films, &c.FilmsTaken, &c.FilmsLiked, &c.FilmsDisliked, &c.FilmsRated, &c.StarsCenti,
		&c.Met, &c.Hits1, &c.Hits5, &c.Hits10, &c.Hits20, &c.Sessions, &c.People}
}

// Add adds others.
func (c *EngagementCounts) Add(d *EngagementCounts) {
	more := d.numbers()
	for i, n := range c.numbers() {
		*n += *more[i]
	}
}

// EngagementDay is a day's counts by what made the lists; those of sessions and people have no model. Of a breakdown it is also by one
// of Strategy, Source and Position.
type EngagementDay struct {
	DayMillis    int64
	ModelName    string
	ModelVersion int
	Strategy     string // of the list
	Source       string // that gave most of the film's score; "" where the list does not say
	Position     int    // of the film on the list, from 1; EngagementPositions + 1 stands for all behind
	EngagementCounts
}

// Breakdown is what counts of engagement are told by, beside the day and the model version.
type Breakdown byte

// The breakdowns, by the table of each. By source and by position films are counted alone.
const (
	ByVersion  Breakdown = 'd'
	ByStrategy Breakdown = 'y'
	BySource   Breakdown = 'o'
	ByPosition Breakdown = 'p'
)

// NewEngagement makes the view "engagement".
func NewEngagement() *Engagement { return &Engagement{meanings: meanings{signal.Default()}} }

func (*Engagement) Spec() fold.Spec {
	return fold.Spec{Name: "engagement", Format: 10, Indexed: true, Unawaited: true, Topics: []string{events.UserEventsTopic, events.RecommendationsTopic}}
}

func (v *Engagement) Open(r fold.Reader) error { v.r = r; return nil }
func (*Engagement) Flush(fold.Writer) error    { return nil }

func (v *Engagement) Apply(to fold.Writer, in []fold.Input) error {
	w := &tallied{Writer: to, counts: map[string]*EngagementCounts{}}
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		var err error
		switch x := in[i].Event.Data.(type) {
		case *events.RecommendationServed:
			if x.UserID != events.Anonymous {
				err = shownList(w, x, in[i].Event.Time.UnixMilli())
			}
		case *events.Interaction:
			if in[i].Event.Actor != events.ActorImporter {
				err = v.act(w, x, &in[i])
			}
		}
		if err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return w.write()
}

// tallied is a Writer with the counts that have changed, which are written once.
type tallied struct {
	fold.Writer
	counts map[string]*EngagementCounts
}

func (w *tallied) of(key fold.Key) (*EngagementCounts, error) {
	c := w.counts[string(key)]
	if c == nil {
		stored, err := readCounts(w, key)
		if err != nil {
			return nil, err
		}
		c = &stored
		w.counts[string(key)] = c
	}
	return c, nil
}

func (w *tallied) write() error {
	for key, c := range w.counts {
		value := fold.Key{}
		for _, n := range c.numbers() {
			value = value.Uvarint(*n)
		}
		if err := w.Set([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

// count changes the counts of a day, and of all days.
func count(w *tallied, day fold.Key, change func(c *EngagementCounts)) error {
	if err := countOf(w, day, change); err != nil {
		return err
	}
	all, err := w.of(fold.Table('t'))
	if err != nil {
		return err
	}
	people := all.People
	change(all)
	all.People = people // somebody may come on several days
	return nil
}

// countOf changes counts.
func countOf(w *tallied, key fold.Key, change func(c *EngagementCounts)) error {
	c, err := w.of(key)
	if err == nil {
		change(c)
	}
	return err
}

func readCounts(r fold.Reader, key []byte) (c EngagementCounts, err error) {
	value, ok, err := r.Get(key)
	if !ok || err != nil {
		return c, err
	}
	return parseCounts(value)
}

func parseCounts(value []byte) (c EngagementCounts, err error) {
	p := fold.PartsOf(value)
	for _, n := range c.numbers() {
		*n = p.Uvarint()
	}
	if p.Err() != nil {
		return c, fault.Wrap(fault.Corrupt, fold.ErrKey, "stored counts of view engagement do not read")
	}
	return c, nil
}

// All is the counts of all days, without people.
func (v *Engagement) All() (EngagementCounts, error) { return readCounts(v.r, fold.Table('t')) }

// Days are the counts of the days that begin in [fromMillis, toMillis) by one breakdown, oldest first, of each what made the lists; at most so many rows.
func (v *Engagement) Days(by Breakdown, fromMillis, toMillis int64, most int) ([]EngagementDay, error) {
	days := []EngagementDay{}
	for kv, err := range v.r.Scan(fold.Table(byte(by)).Millis(fromMillis), fold.Table(byte(by)).Millis(toMillis)) {
		if err != nil {
			return nil, err
		}
		if len(days) == most {
			return nil, fault.New(fault.Invalid, "there are more than %d rows: ask for fewer days", most)
		}
		p := fold.Parts(kv.Key)
		d := EngagementDay{DayMillis: p.Millis(), ModelName: p.Str(), ModelVersion: int(p.U32())}
		switch by {
		case ByStrategy:
			d.Strategy = p.ID()
		case BySource:
			d.Source = p.ID()
		case ByPosition:
			d.Position = int(p.U32())
		}
		if d.EngagementCounts, err = parseCounts(kv.Value); err != nil || p.Err() != nil {
			return nil, cmp.Or(err, fold.ErrKey)
		}
		days = append(days, d)
	}
	return days, nil
}
