package projections

import (
	"cmp"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
)

// Engagement is what came of recommendations, and how people use the program, by day (UTC) of event time:
//
//   - A film that a list showed to a person is taken up if they meet it by an act (to be shown it once more is none, see
//     [signal.Signal.Meets]) within [EngagementWindow] of the last list before the act that showed it to them: last touch. It is liked or disliked if they did that by an act
//     of positive or negative weight.
//   - A session is acts of one person with one session_id; of those that name none, acts without half an hour between two of them, by the minute.
//
// What was imported happened elsewhere, and is not in it; nor are lists for [events.Anonymous], of whom nothing more is heard. Every row is a function of the set of lists and acts, of a rating that was corrected of
// the one that the log took last.
//
//	i USER FILM millis LIST -> flags MODEL version     LIST: 8 bytes that stand for a list
//	l USER millis LIST -> films taken up, MODEL version
//	a USER FILM millis KIND RATED -> FactHash partition offset flags, of the fact that counts
//	r USER FILM millis KIND FactHash -> the same, of each rating
//	m USER FILM -> nothing                             an act has met the film
//	s USER FILM -> nothing                             a list has shown the film
//	g USER SESSION -> millis of its first act
//	u USER day -> minutes of acts that name no session, 2 bytes each; there for everybody who acted
//	d day MODEL version -> EngagementCounts            day: midnight in milliseconds; of sessions and people without a model
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
	Sessions      uint64 `json:"sessions"`         // begun
	People        uint64 `json:"people,omitempty"` // who acted; of a day only
}

func (c *EngagementCounts) numbers() []*uint64 {
	return []*uint64{&c.Lists, &c.ListsTaken, &c.Films, &c.FilmsTaken, &c.FilmsLiked, &c.FilmsDisliked, &c.Sessions, &c.People}
}

// Add adds others.
func (c *EngagementCounts) Add(d *EngagementCounts) {
	more := d.numbers()
	for i, n := range c.numbers() {
		*n += *more[i]
	}
}

// EngagementDay is a day's counts by what made the lists; those of sessions and people have no model.
type EngagementDay struct {
	DayMillis    int64  `json:"-"`
	ModelName    string `json:"model_name,omitempty"`
	ModelVersion int    `json:"model_version,omitempty"`
	EngagementCounts
}

// NewEngagement makes the view "engagement".
func NewEngagement() *Engagement { return &Engagement{meanings: meanings{signal.Default()}} }

func (*Engagement) Spec() fold.Spec {
	return fold.Spec{Name: "engagement", Format: 6, Indexed: true, Unawaited: true, Topics: []string{events.UserEventsTopic, events.RecommendationsTopic}}
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

// shownFilm is a film that a list has shown.
type shownFilm struct {
	key   fold.Key
	flags byte
	by    madeBy
}

type madeBy struct {
	model   string
	version int
}

func (b *madeBy) append(k fold.Key) fold.Key { return k.Text(b.model).Uvarint(uint64(b.version)) }

func (b *madeBy) read(p *fold.KeyParts) { b.model, b.version = string(p.Text()), int(p.Uvarint()) }

func (b *madeBy) day(millis int64) fold.Key {
	return fold.Table('d').Millis(midnight(millis)).Str(b.model).U32(uint32(b.version))
}

func midnight(millis int64) int64 { return millis - ((millis%dayMillis)+dayMillis)%dayMillis }

// shownList takes a list in.
func shownList(w *tallied, x *events.RecommendationServed, millis int64) error {
	user, by := events.CanonicalUser(x.UserID), madeBy{x.ModelName, x.ModelVersion}
	list := events.Hash(events.HashNumber(events.Hash(events.Hash(0, x.RequestID), by.model), uint64(by.version)), x.Timestamp)
	for _, it := range x.Items {
		list = events.Hash(list, it.MovieID)
	}
	key := listKey(user, millis, list)
	if _, known, err := w.Get(key); known || err != nil {
		return err
	}
	if err := w.Set(key, by.append(fold.Key{}.Uvarint(0))); err != nil {
		return err
	}
	films := map[string]bool{}
	for _, it := range x.Items {
		film := events.CanonicalMovie(it.MovieID)
		if films[film] {
			continue // a list that names a film twice
		}
		films[film] = true
		if err := shown(w, user, film, millis, list, by); err != nil {
			return err
		}
	}
	return count(w, by.day(millis), func(c *EngagementCounts) { c.Lists, c.Films = c.Lists+1, c.Films+uint64(len(films)) })
}

func listKey(user string, millis int64, list uint64) fold.Key {
	return fold.Table('l').ID(user).Millis(millis).U64(list)
}

// shown takes a film of a list in: acts after it are its doing from now on, no longer that of the showing before.
func shown(w *tallied, user, film string, millis int64, list uint64, by madeBy) error {
	films := fold.Table('i').ID(user).ID(film)
	s := shownFilm{key: append(fold.Key{}, films...).Millis(millis).U64(list), by: by}
	if err := errors.Join(w.Set(s.key, by.append(fold.Key{s.flags})), w.Set(fold.Table('s').ID(user).ID(film), nil)); err != nil {
		return err
	}
	if _, met, err := w.Get(fold.Table('m').ID(user).ID(film)); err != nil || !met {
		return err // as it is of most films that are recommended
	}
	if before, ok, err := neighbour(w.ScanBack(films, s.key)); err != nil {
		return err
	} else if ok {
		if err := judge(w, user, film, &before); err != nil {
			return err
		}
	}
	return judge(w, user, film, &s)
}

// neighbour is the first showing of a scan.
func neighbour(scan iter.Seq2[fold.KV, error]) (s shownFilm, ok bool, err error) {
	for kv, err := range scan {
		if err != nil {
			return s, false, err
		}
		p := fold.PartsOf(kv.Value)
		s.key, s.flags = append(fold.Key{}, kv.Key...), p.Byte()
		s.by.read(&p)
		return s, true, p.Err()
	}
	return s, false, nil
}

// place is when the list was shown, and which it is.
func (s *shownFilm) place() (millis int64, list uint64) {
	p := fold.PartsOf(s.key[len(s.key)-16:])
	return p.Millis(), p.U64()
}

// judge finds what was done with a film that was shown, from the acts that are its doing.
func judge(w *tallied, user, film string, s *shownFilm) error {
	millis, _ := s.place()
	until := millis + EngagementWindow + 1
	next, ok, err := neighbour(w.Scan(append(append(fold.Key{}, s.key...), 0), fold.Table('i').ID(user).ID(film).End()))
	if err != nil {
		return err
	}
	if ok {
		nextMillis, _ := next.place()
		until = min(until, nextMillis+1)
	}
	acts, flags := fold.Table('a').ID(user).ID(film), byte(0)
	for kv, err := range w.Scan(append(fold.Key{}, acts...).Millis(millis+1), append(fold.Key{}, acts...).Millis(until)) {
		if err != nil {
			return err
		}
		flags |= kv.Value[len(kv.Value)-1]
	}
	return s.become(w, user, flags)
}

// become has flags in place of those there were.
func (s *shownFilm) become(w *tallied, user string, flags byte) error {
	if flags == s.flags {
		return nil
	}
	millis, list := s.place()
	was := s.flags
	s.flags = flags
	if err := w.Set(s.key, s.by.append(fold.Key{flags})); err != nil {
		return err
	}
	key := listKey(user, millis, list)
	value, ok, err := w.Get(key)
	if err != nil || !ok {
		return cmp.Or(err, fold.ErrKey)
	}
	p := fold.PartsOf(value)
	taken := p.Uvarint()
	if p.Err() != nil {
		return p.Err()
	}
	change := func(bit byte) uint64 { return uint64(flags&bit/bit) - uint64(was&bit/bit) } // modulo 2^64
	before := taken
	taken += change(filmTaken)
	if err := w.Set(key, s.by.append(fold.Key{}.Uvarint(taken))); err != nil {
		return err
	}
	return count(w, s.by.day(millis), func(c *EngagementCounts) {
		c.FilmsTaken += change(filmTaken)
		c.FilmsLiked += change(filmLiked)
		c.FilmsDisliked += change(filmDisliked)
		c.ListsTaken += min(taken, 1) - min(before, 1)
	})
}

// act takes an act in.
func (v *Engagement) act(w *tallied, x *events.Interaction, in *fold.Input) error {
	user, film, millis := events.CanonicalUser(x.UserID), events.CanonicalMovie(x.MovieID), in.Event.Time.UnixMilli()
	if err := session(w, user, x.SessionID, millis); err != nil {
		return err
	}
	meaning := v.signals.Of(x.Kind, x.Rating)
	if !meaning.Meets() {
		return nil
	}
	flags := filmTaken
	switch weight := meaning.Weight(); {
	case weight > 0:
		flags |= filmLiked
	case weight < 0:
		flags |= filmDisliked
	}
	key := append(fold.Table('a').ID(user).ID(film).Millis(millis).Str(x.Kind), 0)
	before, now := stated{}, stated{flags: flags} // without a rating all of a kind mean the same, wherever they were recorded
	if x.Rating > 0 {
		key[len(key)-1] = 1
		was, known, err := readStated(w, key)
		if err != nil {
			return err
		}
		more := stated{events.FactHash(in.Event.Source, in.Event.ID, x), in.Position.Partition, in.Position.Offset, flags}
		before = was
		if now, err = rate(w, fold.Table('r').ID(user).ID(film).Millis(millis).Str(x.Kind), was, known, more); err != nil || known && now == was {
			return err
		}
	}
	if err := errors.Join(w.Set(key, now.append(nil)), w.Set(fold.Table('m').ID(user).ID(film), nil)); err != nil {
		return err
	}
	if now.flags == before.flags {
		return nil
	}
	if _, was, err := w.Get(fold.Table('s').ID(user).ID(film)); err != nil || !was {
		return err
	}
	films := fold.Table('i').ID(user).ID(film)
	s, ok, err := neighbour(w.ScanBack(films, append(fold.Key{}, films...).Millis(millis)))
	if err != nil || !ok {
		return err
	}
	if at, _ := s.place(); millis-at > EngagementWindow {
		return nil
	}
	if before.flags&^now.flags != 0 {
		return judge(w, user, film, &s) // something is taken back
	}
	return s.become(w, user, s.flags|now.flags)
}

// stated is what a fact says, and where it was recorded: a repetition in the least place.
type stated struct {
	hash      uint64
	partition int32
	offset    int64
	flags     byte // the last of the stored bytes
}

func (s *stated) compare(o *stated) int {
	return cmp.Or(cmp.Compare(s.partition, o.partition), cmp.Compare(s.offset, o.offset))
}

func (s *stated) append(dst fold.Key) fold.Key {
	return append(dst.U64(s.hash).Uvarint(uint64(s.partition)).Uvarint(uint64(s.offset)), s.flags)
}

func parseStated(value []byte) (stated, error) {
	p := fold.PartsOf(value)
	s := stated{p.U64(), int32(p.Uvarint()), int64(p.Uvarint()), p.Byte()}
	return s, p.Err()
}

func readStated(w fold.Writer, key fold.Key) (s stated, known bool, err error) {
	value, known, err := w.Get(key)
	if known && err == nil {
		s, err = parseStated(value)
	}
	return s, known, err
}

// rate takes in a rating of those of one person, film, kind and time, which have a prefix, and gives the one that counts.
func rate(w fold.Writer, ratings fold.Key, counted stated, any bool, more stated) (stated, error) {
	key := append(fold.Key{}, ratings...).U64(more.hash)
	was, again, err := readStated(w, key)
	if err != nil || again && was.compare(&more) <= 0 {
		return counted, err
	}
	if err := w.Set(key, more.append(nil)); err != nil {
		return counted, err
	}
	if !any || counted.compare(&more) < 0 && counted.hash != more.hash {
		return more, nil
	}
	if counted.hash != more.hash {
		return counted, nil
	}
	last := more // the one that counted was recorded earlier too
	for kv, err := range w.Scan(ratings, ratings.End()) {
		if err != nil {
			return last, err
		}
		s, err := parseStated(kv.Value)
		if err != nil {
			return last, err
		}
		if last.compare(&s) < 0 {
			last = s
		}
	}
	return last, nil
}

// session takes an act into the sessions of a person: it begins one unless another of them is shortly before.
func session(w *tallied, user, id string, millis int64) error {
	day := midnight(millis)
	acts, known, err := actMinutes(w, user, day)
	if err != nil {
		return err
	}
	if !known {
		if err := count(w, (&madeBy{}).day(day), func(c *EngagementCounts) { c.People++ }); err != nil {
			return err
		}
	}
	if id == "" {
		return unnamedSession(w, user, day, (millis-day)/minuteMillis, acts)
	}
	if !known {
		if err := w.Set(minutesKey(user, day), nil); err != nil {
			return err
		}
	}
	return namedSession(w, fold.Table('g').ID(user).Str(id), millis)
}

// namedSession begins with the first of its acts.
func namedSession(w *tallied, key fold.Key, millis int64) error {
	value, known, err := w.Get(key)
	if err != nil {
		return err
	}
	if known {
		p := fold.PartsOf(value)
		first := p.Millis()
		if p.Err() != nil || millis >= first {
			return p.Err()
		}
		if err := count(w, (&madeBy{}).day(first), func(c *EngagementCounts) { c.Sessions-- }); err != nil {
			return err
		}
	}
	if err := w.Set(key, fold.Key{}.Millis(millis)); err != nil {
		return err
	}
	return count(w, (&madeBy{}).day(millis), func(c *EngagementCounts) { c.Sessions++ })
}

// unnamedSession begins one at a minute of a day, which has these, unless another act is shortly before.
func unnamedSession(w *tallied, user string, day, at int64, acts []uint16) error {
	i, known := slices.BinarySearch(acts, uint16(at))
	if known {
		return nil
	}
	before, after := int64(-dayMinutes), int64(2*dayMinutes) // minutes of the day; far away where there are none
	if i > 0 {
		before = int64(acts[i-1])
	} else if at < sessionGap {
		if other, _, err := actMinutes(w, user, day-dayMillis); err != nil {
			return err
		} else if len(other) > 0 {
			before = int64(other[len(other)-1]) - dayMinutes
		}
	}
	if i < len(acts) {
		after = int64(acts[i])
	} else if at >= dayMinutes-sessionGap {
		if other, _, err := actMinutes(w, user, day+dayMillis); err != nil {
			return err
		} else if len(other) > 0 {
			after = int64(other[0]) + dayMinutes
		}
	}
	value := fold.Key{}
	for _, m := range slices.Insert(acts, i, uint16(at)) {
		value = binary.BigEndian.AppendUint16(value, m)
	}
	if err := w.Set(minutesKey(user, day), value); err != nil {
		return err
	}
	if at-before > sessionGap {
		if err := count(w, (&madeBy{}).day(day), func(c *EngagementCounts) { c.Sessions++ }); err != nil {
			return err
		}
	}
	if after-before > sessionGap && after-at <= sessionGap { // it began one, and does no longer
		return count(w, (&madeBy{}).day(day+after*minuteMillis), func(c *EngagementCounts) { c.Sessions-- })
	}
	return nil
}

func minutesKey(user string, day int64) fold.Key { return fold.Table('u').ID(user).Millis(day) }

// actMinutes are the minutes of a day at which a person acted without naming a session, ascending, and whether they acted at all.
func actMinutes(w *tallied, user string, day int64) (acts []uint16, known bool, err error) {
	value, known, err := w.Get(minutesKey(user, day))
	if err != nil || len(value)%2 != 0 {
		return nil, known, cmp.Or(err, fold.ErrKey)
	}
	acts = make([]uint16, len(value)/2, len(value)/2+1)
	for k := range acts {
		acts[k] = binary.BigEndian.Uint16(value[2*k:])
	}
	return acts, known, nil
}

// count changes the counts of a day, and of all days.
func count(w *tallied, day fold.Key, change func(c *EngagementCounts)) error {
	c, err := w.of(day)
	if err != nil {
		return err
	}
	all, err := w.of(fold.Table('t'))
	if err != nil {
		return err
	}
	people := all.People
	change(c)
	change(all)
	all.People = people // somebody may come on several days
	return nil
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

// Days are the counts of the days that begin in [fromMillis, toMillis), oldest first, of each what made the lists; at most so many rows.
func (v *Engagement) Days(fromMillis, toMillis int64, most int) ([]EngagementDay, error) {
	days := []EngagementDay{}
	for kv, err := range v.r.Scan(fold.Table('d').Millis(fromMillis), fold.Table('d').Millis(toMillis)) {
		if err != nil {
			return nil, err
		}
		if len(days) == most {
			return nil, fault.New(fault.Invalid, "there are more than %d rows: ask for fewer days", most)
		}
		p := fold.Parts(kv.Key)
		d := EngagementDay{DayMillis: p.Millis(), ModelName: p.Str(), ModelVersion: int(p.U32())}
		if d.EngagementCounts, err = parseCounts(kv.Value); err != nil || p.Err() != nil {
			return nil, cmp.Or(err, fold.ErrKey)
		}
		days = append(days, d)
	}
	return days, nil
}
