package projections

import (
	"cmp"
	"errors"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// shownFilm is a film that a list has shown, and what came of it.
type shownFilm struct {
	key fold.Key
	outcome
	position int // from 1
	by       madeBy
	source   string
}

// outcome is what was done with a film.
type outcome struct {
	flags byte
	stars uint16 // of the last rating, in hundredths; 0 is none
}

func (s *shownFilm) value() fold.Key {
	k := fold.Key{s.flags}.Uvarint(uint64(s.stars)).Uvarint(uint64(s.position))
	return s.by.append(k).Text(s.source)
}

func (s *shownFilm) read(value []byte) error {
	p := fold.PartsOf(value)
	s.flags, s.stars, s.position = p.Byte(), uint16(p.Uvarint()), int(p.Uvarint())
	s.by.read(&p)
	s.source = string(p.Text())
	return p.Err()
}

type madeBy struct {
	model    string
	version  int
	strategy string
}

func (b *madeBy) append(k fold.Key) fold.Key {
	return k.Text(b.model).Uvarint(uint64(b.version)).Text(b.strategy)
}

func (b *madeBy) read(p *fold.KeyParts) {
	b.model, b.version, b.strategy = string(p.Text()), int(p.Uvarint()), string(p.Text())
}

func (b *madeBy) row(by Breakdown, millis int64) fold.Key {
	return fold.Table(byte(by)).Millis(midnight(millis)).Str(b.model).U32(uint32(b.version))
}

func midnight(millis int64) int64 { return millis - ((millis%dayMillis)+dayMillis)%dayMillis }

// count changes the counts of what made a list of a moment.
func (b *madeBy) count(w *tallied, millis int64, change func(c *EngagementCounts)) error {
	return errors.Join(count(w, b.row(ByVersion, millis), change), countOf(w, b.row(ByStrategy, millis).ID(b.strategy), change))
}

// count changes the counts of what made the film's list, and those of its place and source.
func (s *shownFilm) count(w *tallied, change func(c *EngagementCounts)) error {
	millis, _ := s.place()
	return errors.Join(s.by.count(w, millis, change), countOf(w, s.by.row(BySource, millis).ID(s.source), change),
		countOf(w, s.by.row(ByPosition, millis).U32(uint32(min(s.position, EngagementPositions+1))), change))
}

// placed is where a list shows one of its items, from 1, behind the places of pages before it, and the source that gave most of its score, "" where the
// list does not say.
func placed(x *events.RecommendationServed, item int) (position int, source string) {
	it := &x.Items[item]
	if position, source = it.Position, it.Source; position < 1 { // from outside
		position = x.Rules.Offset + item + 1
	}
	if source == "" {
		source = events.MainSource(it.Sources)
	}
	return position, source
}

// shownList takes a list in.
func shownList(w *tallied, x *events.RecommendationServed, millis int64) error {
	user, by := events.CanonicalUser(x.UserID), madeBy{x.ModelName, x.ModelVersion, x.Strategy}
	list := events.Hash(events.HashNumber(events.Hash(events.Hash(0, x.RequestID), by.model), uint64(by.version)), x.Timestamp)
	list = events.Hash(list, by.strategy)
	for i, it := range x.Items {
		_, source := placed(x, i)
		list = events.Hash(events.Hash(list, it.MovieID), source)
	}
	key := listKey(user, millis, list)
	if _, known, err := w.Get(key); known || err != nil {
		return err
	}
	if err := w.Set(key, by.append(fold.Key{}.Uvarint(0))); err != nil {
		return err
	}
	films := map[string]bool{}
	met, err := meetings(w, user)
	if err != nil {
		return err
	}
	for i, it := range x.Items {
		film := events.CanonicalMovie(it.MovieID)
		if films[film] {
			continue // a list that names a film twice
		}
		films[film] = true
		s := shownFilm{key: showingKey(user, film, millis, list), by: by}
		s.position, s.source = placed(x, i)
		if err := shown(w, user, film, &s, met); err != nil {
			return err
		}
	}
	err = by.count(w, millis, func(c *EngagementCounts) { c.Lists, c.Films = c.Lists+1, c.Films+uint64(len(films)) })
	if err != nil {
		return err
	}
	return metSince(w, user, millis, key)
}

func listKey(user string, millis int64, list uint64) fold.Key {
	return fold.Table('l').ID(user).Millis(millis).U64(list)
}

func showingKey(user, film string, millis int64, list uint64) fold.Key {
	return fold.Table('i').ID(user).ID(film).Millis(millis).U64(list)
}

// meetingsFew is of how many films that somebody has met all are read at once.
const meetingsFew = 64

// meetings says of each film whether somebody has met it. Most have met few here, or none.
func meetings(w *tallied, user string) (met func(film string) (bool, error), err error) {
	person, few := fold.Table('m').ID(user), map[string]bool{}
	key := func(film string) fold.Key { return append(fold.Key{}, person...).ID(film) }
	for kv, err := range w.Scan(person, person.End()) {
		if err != nil {
			return nil, err
		}
		if len(few) == meetingsFew {
			return func(film string) (bool, error) {
				_, met, err := w.Get(key(film))
				return met, err
			}, nil
		}
		few[string(kv.Key)] = true
	}
	return func(film string) (bool, error) { return few[string(key(film))], nil }, nil
}

// shown takes a film of a list in: acts after it are its doing from now on, no longer that of the showing before.
func shown(w *tallied, user, film string, s *shownFilm, met func(film string) (bool, error)) error {
	if err := w.Set(s.key, s.value()); err != nil {
		return err
	}
	millis, _ := s.place()
	one := func(c *EngagementCounts) { c.Films++ }
	if err := errors.Join(countOf(w, s.by.row(BySource, millis).ID(s.source), one),
		countOf(w, s.by.row(ByPosition, millis).U32(uint32(min(s.position, EngagementPositions+1))), one)); err != nil {
		return err
	}
	if met, err := met(film); err != nil || !met {
		return err // as it is of most films that are recommended
	}
	if before, ok, err := neighbour(w.ScanBack(fold.Table('i').ID(user).ID(film), s.key)); err != nil {
		return err
	} else if ok {
		if err := judge(w, user, film, &before); err != nil {
			return err
		}
	}
	return judge(w, user, film, s)
}

// neighbour is the first showing of a scan.
func neighbour(scan iter.Seq2[fold.KV, error]) (s shownFilm, ok bool, err error) {
	for kv, err := range scan {
		if err != nil {
			return s, false, err
		}
		s.key = append(fold.Key{}, kv.Key...)
		return s, true, s.read(kv.Value)
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
	acts, found := fold.Table('a').ID(user).ID(film), outcome{}
	for kv, err := range w.Scan(append(fold.Key{}, acts...).Millis(millis+1), append(fold.Key{}, acts...).Millis(until)) {
		if err != nil {
			return err
		}
		act, err := parseStated(kv.Value)
		if err != nil {
			return err
		}
		if found.flags |= act.flags; act.stars > 0 {
			found.stars = act.stars
		}
	}
	return s.become(w, user, found)
}

// become has an outcome in place of the one there was.
func (s *shownFilm) become(w *tallied, user string, found outcome) error {
	if found == s.outcome {
		return nil
	}
	millis, list := s.place()
	was := s.outcome
	s.outcome = found
	if err := w.Set(s.key, s.value()); err != nil {
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
	change := func(bit byte) uint64 { return uint64(found.flags&bit/bit) - uint64(was.flags&bit/bit) } // modulo 2^64
	before := taken
	taken += change(filmTaken)
	if err := w.Set(key, s.by.append(fold.Key{}.Uvarint(taken))); err != nil {
		return err
	}
	if lists := min(taken, 1) - min(before, 1); lists != 0 {
		if err := s.by.count(w, millis, func(c *EngagementCounts) { c.ListsTaken += lists }); err != nil {
			return err
		}
	}
	return s.count(w, func(c *EngagementCounts) {
		c.FilmsTaken += change(filmTaken)
		c.FilmsLiked += change(filmLiked)
		c.FilmsDisliked += change(filmDisliked)
		c.FilmsRated += uint64(min(found.stars, 1)) - uint64(min(was.stars, 1))
		c.StarsCenti += uint64(found.stars) - uint64(was.stars)
	})
}

// lastList is the last of a person's lists before a moment, or before a list of that moment; nil for none.
type lastList struct {
	millis int64
	list   uint64
	by     madeBy
}

// reaches says whether a moment after the list is within its window.
func (l *lastList) reaches(millis int64) bool { return l != nil && millis-l.millis <= EngagementWindow }

// listBefore is the last list with a key below end; nil without one.
func listBefore(w *tallied, user string, end fold.Key) (*lastList, error) {
	for kv, err := range w.ScanBack(fold.Table('l').ID(user), end) {
		if err != nil {
			return nil, err
		}
		var l lastList
		k, p := fold.PartsOf(kv.Key[len(kv.Key)-16:]), fold.PartsOf(kv.Value)
		l.millis, l.list = k.Millis(), k.U64()
		p.Uvarint()
		l.by.read(&p)
		return &l, cmp.Or(k.Err(), p.Err())
	}
	return nil, nil
}

// meets takes in, or with n = -1 takes back, that a film was met for the first time at a moment, if that is within the list's window.
func (l *lastList) meets(w *tallied, user, film string, millis int64, n uint64) error {
	if !l.reaches(millis) {
		return nil
	}
	value, ok, err := w.Get(showingKey(user, film, l.millis, l.list))
	if err != nil {
		return err
	}
	var s shownFilm
	if ok {
		if err := s.read(value); err != nil {
			return err
		}
	}
	return l.by.count(w, l.millis, func(c *EngagementCounts) {
		c.Met += n
		if !ok {
			return
		}
		for k, hits := range map[int]*uint64{1: &c.Hits1, 5: &c.Hits5, 10: &c.Hits10, 20: &c.Hits20} {
			if s.position <= k {
				*hits += n
			}
		}
	})
}

// metSince gives a list what was met after it, which the list before it had until now.
func metSince(w *tallied, user string, millis int64, key fold.Key) error {
	until := millis + EngagementWindow + 1
	for kv, err := range w.Scan(append(append(fold.Key{}, key...), 0), fold.Table('l').ID(user).End()) {
		if err != nil {
			return err
		}
		k := fold.PartsOf(kv.Key[len(kv.Key)-16:])
		until = min(until, k.Millis()+1)
		break
	}
	if until <= millis+1 {
		return nil // another list of the moment is the last
	}
	type meeting struct {
		millis int64
		film   string
	}
	var met []meeting
	person := fold.Table('h').ID(user)
	for kv, err := range w.Scan(append(fold.Key{}, person...).Millis(millis+1), append(fold.Key{}, person...).Millis(until)) {
		if err != nil {
			return err
		}
		p := fold.PartsOf(kv.Key[len(person):])
		met = append(met, meeting{p.Millis(), p.ID()})
		if p.Err() != nil {
			return p.Err()
		}
	}
	if len(met) == 0 {
		return nil // as it is of a list that comes as it is shown
	}
	this, err := listBefore(w, user, append(append(fold.Key{}, key...), 0))
	if err != nil {
		return err
	}
	before, err := listBefore(w, user, key)
	if err != nil {
		return err
	}
	for _, m := range met {
		if err := before.meets(w, user, m.film, m.millis, ^uint64(0)); err != nil {
			return err
		}
		if err := this.meets(w, user, m.film, m.millis, 1); err != nil {
			return err
		}
	}
	return nil
}

// meet takes in that a person has met a film at a moment, before which they were shown a list last.
func meet(w *tallied, user, film string, millis int64, last *lastList) error {
	key := fold.Table('m').ID(user).ID(film)
	value, known, err := w.Get(key)
	if err != nil {
		return err
	}
	meeting := func(at int64) fold.Key { return fold.Table('h').ID(user).Millis(at).ID(film) }
	if known {
		p := fold.PartsOf(value)
		first := p.Millis()
		if p.Err() != nil || first <= millis {
			return p.Err()
		}
		then, err := listBefore(w, user, fold.Table('l').ID(user).Millis(first))
		if err := errors.Join(err, w.Delete(meeting(first)), then.meets(w, user, film, first, ^uint64(0))); err != nil {
			return err
		}
	}
	return errors.Join(w.Set(key, fold.Key{}.Millis(millis)), w.Set(meeting(millis), nil), last.meets(w, user, film, millis, 1))
}
