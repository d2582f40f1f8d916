package trainset

import (
	"cmp"
	"iter"
	"slices"
)

// merged gives the facts of all sources in order, each once: of repetitions the one that was recorded first, by partition
// and then by turn.
func (a *acts) merged(sources []source) iter.Seq[*fact] {
	return func(yield func(*fact) bool) {
		var heads []*fact
		var left []source
		for _, s := range sources {
			if f := s.next(); f != nil {
				heads, left = append(heads, f), append(left, s)
			}
		}
		var last fact
		for first := true; len(heads) > 0; {
			least := 0
			for i := 1; i < len(heads); i++ {
				if heads[i].compare(heads[least]) < 0 {
					least = i
				}
			}
			if f := heads[least]; first || !a.repeats(f, &last) {
				first, last = false, *f
				if !yield(&last) {
					return
				}
			}
			if heads[least] = left[least].next(); heads[least] == nil {
				heads, left = slices.Delete(heads, least, least+1), slices.Delete(left, least, least+1)
			}
		}
	}
}

// settled gives facts in order, each with whether it counts: of several of one person, film, kind and time that have
// stars, the last recorded does alone. Their turns become small numbers; that of a fact without others is 0.
func (a *acts) settled(facts iter.Seq[*fact]) iter.Seq2[*fact, bool] {
	return func(yield func(*fact, bool) bool) {
		s := settler{acts: a}
		for f := range facts {
			if len(s.facts) > 0 && (s.facts[0].time != f.time || s.facts[0].user != f.user) && !s.give(yield) {
				return
			}
			s.facts = append(s.facts, *f)
		}
		s.give(yield)
	}
}

// settler judges facts of one time and person together.
type settler struct {
	acts       *acts
	facts      []fact
	order      []int32 // of facts
	superseded []bool
}

// give judges the facts that it has, and gives them.
func (s *settler) give(yield func(*fact, bool) bool) bool {
	s.superseded = append(s.superseded[:0], make([]bool, len(s.facts))...)
	if len(s.facts) == 1 {
		s.facts[0].turn = 0
	} else {
		s.settle()
	}
	for i := range s.facts {
		if !yield(&s.facts[i], !s.superseded[i]) {
			return false
		}
	}
	s.facts = s.facts[:0]
	return true
}

func (s *settler) settle() {
	s.order = s.order[:0]
	for i := range s.facts {
		s.order = append(s.order, int32(i))
	}
	slices.SortFunc(s.order, func(i, k int32) int {
		f, g := &s.facts[i], &s.facts[k]
		return cmp.Or(s.compareRivals(f, g), cmp.Compare(s.acts.partition[f.act], s.acts.partition[g.act]), cmp.Compare(f.turn, g.turn))
	})
	for from, to := 0, 0; from < len(s.order); from = to {
		first := &s.facts[s.order[from]]
		for to = from + 1; to < len(s.order) && s.acts.stars[first.act] > 0 && s.compareRivals(first, &s.facts[s.order[to]]) == 0; to++ {
		}
		for turn, i := range s.order[from:to] {
			s.facts[i].turn, s.superseded[i] = 0, from+turn+1 < to
			if to-from > 1 {
				s.facts[i].turn = uint32(turn + 1)
			}
		}
	}
}

// compareRivals has those together of which one counts at most.
func (s *settler) compareRivals(f, g *fact) int {
	c := cmp.Or(cmp.Compare(f.item, g.item), cmp.Compare(s.acts.kind[f.act], s.acts.kind[g.act]))
	if c != 0 || (s.acts.stars[f.act] > 0) == (s.acts.stars[g.act] > 0) {
		return c
	}
	return cmp.Compare(s.acts.stars[f.act], s.acts.stars[g.act])
}
