package recommend

import (
	"cmp"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
)

// judging is the memory of one judgement.
type judging struct {
	raw, byPlace []float32
	scratch      online.Scratch
}

var judgings = sync.Pool{New: func() any { return &judging{} }}

// Judge says at which ranks the version that ranks for the slot, as it is at hand, its parts, and popularity would put the film of an act among those that the
// person has not met, at its event time; 0 for a film that is not in the catalogue. It loads nothing: false where no version is at hand. Of what is given it
// fills in all but the place and the time of the act.
func (s *Service) Judge(l *projections.Learning) (out events.QualityJudged, ok bool) {
	v, ranker, cards := s.atHand()
	user, film, millis := events.CanonicalUser(l.Act.UserID), events.CanonicalMovie(l.Act.MovieID), l.Input.Event.Time.UnixMilli()
	if ranker == nil || ranker.Films().Len() == 0 || l.Model.Fetch(user) != nil {
		return out, false
	}
	out.ModelName, out.ModelVersion = v.model, v.number
	films := ranker.Films()
	act := events.JudgedAct{Films: films.Len() - cards.hidden}
	place, known := films.Place(film)
	if known && cards.cards[place].hidden {
		return out, false // nobody is shown it
	}
	rank := func(source string, score []float32) {
		at := 0
		if known {
			if at = recipe.Rank(score, place); score[place] != score[place] { // no number
				at = films.Len()
			}
			at -= cards.hiddenBefore(score, place)
		}
		out.Sources, act.Ranks = append(out.Sources, source), append(act.Ranks, at)
	}
	ranker.Score(l.Model, user, millis, func(part string, score []float32) {
		switch part {
		case "":
			rank(events.SourceServed, score)
		case events.SourceServed, online.Popularity.String(), online.DecayedPopularity.String(): // those have their own below
		default:
			rank(part, score)
		}
	})
	j := judgings.Get().(*judging)
	defer judgings.Put(j)
	for _, b := range []online.Source{online.Popularity, online.DecayedPopularity} {
		rank(b.String(), j.scores(l.Model, films, user, millis, b))
	}
	out.Acts = []events.JudgedAct{act}
	return out, true
}

// atHand is what a request that came now would be ranked by for the slot, if that is at hand; nil if not.
func (s *Service) atHand() (version, recipe.Ranker, *films) {
	deployed, _, err := s.deployed()
	if err != nil {
		return version{}, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.loaded[deployed]
	if _, failed := s.failed[deployed]; at == nil && failed && s.served {
		deployed, at = s.serving, s.loaded[s.serving] // which goes on in its place
	}
	if at == nil || s.films == nil {
		return deployed, nil, nil
	}
	return deployed, at.ranker, s.films
}

// hiddenBefore is how many of the films that [recipe.Rank] has before one, or beside it, are hidden.
func (f *films) hiddenBefore(score []float32, place int) (n int) {
	if f.hidden == 0 {
		return 0
	}
	for i, v := range score {
		if f.cards[i].hidden && v != online.Excluded && (v >= score[place] || score[place] != score[place]) {
			n++
		}
	}
	return n
}

// scores are a source's scores by place.
func (j *judging) scores(m *online.Model, films *recipe.Films, user string, millis int64, source online.Source) []float32 {
	place := films.Places(m)
	j.byPlace = recipe.Grow(j.byPlace, films.Len())
	clear(j.byPlace)
	j.raw = m.Score(j.raw, user, millis, source, &j.scratch)
	for i, v := range j.raw {
		if p := place[i]; p >= 0 {
			j.byPlace[p] = v
		}
	}
	return j.byPlace
}

// Hold has the version in the slot at hand, and the films that there are, so that [Service.Judge] judges by them.
func (s *Service) Hold() error {
	if err := s.catchUp(false); err != nil {
		return err
	}
	_, _, _, behind, err := s.slot()
	return cmp.Or(err, behind)
}
