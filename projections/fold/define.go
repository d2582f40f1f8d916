package fold

import (
	"context"
	"fmt"
	"slices"

	"github.com/projectionist/projectionist/streams"
)

// Defined is a view that reads what it folds by a definition, which an event of the ledger puts in force. What is
// stored of it is the fold under one definition; under another it is folded anew ([Runner.Redefine]).
type Defined interface {
	View
	// InForce is the definition in force at a moment.
	InForce(ctx context.Context, ledger streams.Ledger, at At) (Definition, error)
	// ReadBy makes the view read by a definition. It is called once, before Open.
	ReadBy(d Definition) error
}

// Definition is what a view reads facts by; the zero value is of a view that reads by none.
type Definition struct {
	Hash string `json:"hash"` // names it
	Text string `json:"text"` // all it says
}

// inForce is the definition by which a view that is begun now has to read.
func (r *Runner) inForce(ctx context.Context, v View) (Definition, error) {
	d, ok := v.(Defined)
	if !ok {
		return Definition{}, nil
	}
	in, err := d.InForce(ctx, r.log.Ledger(), At{Cut: r.definedAt})
	if err != nil {
		return Definition{}, fmt.Errorf("what the view %s reads by: %w", v.Spec().Name, err)
	}
	return in, nil
}

// Redefine folds the views again that read by another definition than the one in force, each beside the running one,
// as [Runner.Rebuild] does. It gives their names. progress may be nil.
func (r *Runner) Redefine(ctx context.Context, progress func(view string, done, total int64)) (views []string, err error) {
	for _, f := range r.factories {
		v := f()
		in, err := r.inForce(ctx, v)
		if err != nil {
			return views, err
		}
		name := v.Spec().Name
		if in.Hash == r.Definition(name) {
			continue
		}
		err = r.Rebuild(ctx, name, func(done, total int64) {
			if progress != nil {
				progress(name, done, total)
			}
		})
		if err != nil {
			return views, err
		}
		views = append(views, name)
	}
	return views, nil
}

// Definition is the hash of the definition that the named view is the fold under, "" for one without any.
func (r *Runner) Definition(view string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.slots, func(s *slot) bool { return s.spec.Name == view }); i >= 0 {
		return r.slots[i].definition.Hash
	}
	return ""
}
