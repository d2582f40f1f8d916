package fold

import "context"

// What tests from outside look at, and break.

const PageScanMax = pageScanMax

// Round folds once, and no checkpoint follows.
func (r *Runner) Round(ctx context.Context) (bool, error) { return r.round(ctx) }

// Tamper overwrites a pair of a view behind its back.
func (r *Runner) Tamper(view string, key, value []byte) error {
	for _, s := range r.slots {
		if s.spec.Name == view {
			return r.store.db.Set(genKey(s.gen, key), value, nil)
		}
	}
	return nil
}

// StoreAs says that a view is stored in a format.
func (s *Store) StoreAs(view string, format int) error {
	m, _, err := s.meta(view)
	if err != nil {
		return err
	}
	m.Format = format
	return s.point(view, m)
}

// ViewNamed is a view of the runner.
func (r *Runner) ViewNamed(name string) View {
	for _, s := range r.slots {
		if s.spec.Name == name {
			return s.view
		}
	}
	return nil
}
