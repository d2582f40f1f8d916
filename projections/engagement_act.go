package projections

import (
	"cmp"
	"errors"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

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
	before, now := stated{}, stated{outcome: outcome{flags: flags}} // without a rating all of a kind mean the same, wherever they were recorded
	if x.Rating > 0 {
		key[len(key)-1] = 1
		was, known, err := readStated(w, key)
		if err != nil {
			return err
		}
		more := stated{events.FactHash(in.Event.Source, in.Event.ID, x), in.Position.Partition, in.Position.Offset, outcome{flags, uint16(meaning.RatingCenti())}}
		before = was
		if now, err = rate(w, fold.Table('r').ID(user).ID(film).Millis(millis).Str(x.Kind), was, known, more); err != nil || known && now == was {
			return err
		}
	}
	last, err := listBefore(w, user, fold.Table('l').ID(user).Millis(millis))
	if err := errors.Join(err, w.Set(key, now.append(nil)), meet(w, user, film, millis, last)); err != nil {
		return err
	}
	if now.outcome == before.outcome || !last.reaches(millis) {
		return nil
	}
	films := fold.Table('i').ID(user).ID(film)
	s, ok, err := neighbour(w.ScanBack(films, append(fold.Key{}, films...).Millis(millis)))
	if err != nil || !ok {
		return err
	}
	if at, _ := s.place(); millis-at > EngagementWindow {
		return nil
	}
	if before.flags&^now.flags != 0 || now.stars > 0 {
		return judge(w, user, film, &s) // something is taken back, or other stars may be the last
	}
	return s.become(w, user, outcome{s.flags | now.flags, s.stars})
}

// stated is what a fact says, and where it was recorded: a repetition in the least place.
type stated struct {
	hash      uint64
	partition int32
	offset    int64
	outcome
}

func (s *stated) compare(o *stated) int {
	return cmp.Or(cmp.Compare(s.partition, o.partition), cmp.Compare(s.offset, o.offset))
}

func (s *stated) append(dst fold.Key) fold.Key {
	return append(dst.U64(s.hash).Uvarint(uint64(s.partition)).Uvarint(uint64(s.offset)).Uvarint(uint64(s.stars)), s.flags)
}

func parseStated(value []byte) (stated, error) {
	p := fold.PartsOf(value)
	s := stated{p.U64(), int32(p.Uvarint()), int64(p.Uvarint()), outcome{stars: uint16(p.Uvarint())}}
	s.flags = p.Byte()
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
