package projections

import (
	"strings"

	"github.com/projectionist/projectionist/ml/features"
)

// filmStates are the states of films' features that are in memory. One that is about to change is written first, if the
// save under way has to have it as it was: as in ml/online.
type filmStates struct {
	byID    map[string]*film
	period  uint32
	changed []*film
	saving  *filmSave
}

type film struct {
	id      string
	state   *features.State
	changed uint32 // period of its last change, 0 for none that is not saved
	met     bool   // since the last rest
}

func newFilmStates() filmStates { return filmStates{byID: map[string]*film{}, period: 1} }

// at is a film's, nil where it is not in memory.
func (s *filmStates) at(id string) *film { return s.byID[id] }

func (s *filmStates) put(id string, state *features.State) *film {
	f := &film{id: strings.Clone(id), state: state, met: true}
	s.byID[f.id] = f
	return f
}

// touch is called before a film changes.
func (s *filmStates) touch(f *film) {
	f.met = true
	if f.changed == s.period {
		return
	}
	if f.changed != 0 {
		s.saving.write(f)
	}
	f.changed = s.period
	s.changed = append(s.changed, f)
}

// rest lets go of those that were not met since the last time.
func (s *filmStates) rest() {
	for id, f := range s.byID {
		if !f.met && f.changed == 0 {
			delete(s.byID, id)
		}
		f.met = false
	}
}

// filmSave writes what had changed when it began.
type filmSave struct {
	of     *filmStates
	period uint32
	left   []*film
	put    func(id string, row []byte) error
	row    []byte
	err    error
}

func (s *filmStates) save(put func(id string, row []byte) error) *filmSave {
	s.saving = &filmSave{of: s, period: s.period, left: s.changed, put: put}
	s.period, s.changed = s.period+1, nil
	return s.saving
}

// step writes one more, and says whether that was the last.
func (w *filmSave) step() (done bool, err error) {
	n := len(w.left)
	if n == 0 || w.err != nil {
		return n == 0, w.err
	}
	w.write(w.left[n-1])
	w.left = w.left[:n-1]
	return false, w.err
}

func (w *filmSave) write(f *film) {
	if f.changed != w.period {
		return // it is written
	}
	f.changed = 0
	w.row = f.state.AppendTo(w.row[:0])
	if err := w.put(f.id, w.row); w.err == nil {
		w.err = err
	}
}
