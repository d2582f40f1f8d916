package features

import (
	"iter"
	"math"
	"slices"
)

// Trace folds the facts of one entity, in ascending event time, and calls each with the features of the facts that are wanted, which
// are counted from 0: as they were at the fact's own time without it, and with it. They are in the order of [Selection.Columns], and
// valid until each returns. What facts do not tell is as in says. An error of facts or each is passed on.
func (s *Selection) Trace(entity Entity, in Inputs, facts iter.Seq2[Fact, error], wanted func(i int) bool, each func(i int, before, after []Value) error) error {
	of := s.subject(in)
	var readers []*evaluator
	n := 0
	for _, p := range s.parts {
		if p.view.Entity == entity {
			readers = append(readers, newEvaluator(p.plan, of))
			n += len(p.out)
		}
	}
	state, before, after := NewState(entity), make([]Value, n), make([]Value, n)
	read := func(values []Value, millis int64) {
		at := 0
		for _, ev := range readers {
			ev.read(state, millis)
			for i := range ev.plan.steps {
				ev.value(i, &values[at])
				at++
			}
		}
	}
	i := 0
	for f, err := range facts {
		if err != nil {
			return err
		}
		told := wanted(i)
		if told {
			read(before, f.TimeMillis)
		}
		state.Add(f)
		for _, ev := range readers {
			ev.tallyFact(&f)
		}
		if told {
			read(after, f.TimeMillis)
			if err := each(i, before, after); err != nil {
				return err
			}
		}
		i++
	}
	return nil
}

// Ageless says of each of the selection's features in order whether it follows from what is said of the entity, and not from facts.
func (s *Selection) Ageless() []bool {
	all := make([]bool, len(s.columns))
	for _, p := range s.parts {
		for i, c := range p.out {
			all[c] = p.plan.steps[i].ageless
		}
	}
	return all
}

// Same says whether two values of one feature are the same to whom they are served: of two that are not there it does not matter why.
func (v *Value) Same(o *Value) bool {
	if v.Status != Present || o.Status != Present {
		return v.Status != Present && o.Status != Present
	}
	return v.Int == o.Int && math.Float64bits(v.Float) == math.Float64bits(o.Float) && v.Str == o.Str && slices.Equal(v.List, o.List)
}
