package fold

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// A damaged store is put aside and made again: it holds nothing that the log does not. Damage that is met at the start
// is mended by the start itself; later on reading and folding fail where it is, and a mark is left for the next one.

// ErrDamaged is wrapped by the error of OpenStore when the store's own files are damaged.
var ErrDamaged = errors.New("the views are damaged")

const (
	// damageMark is the file that says so. Pebble passes over files with such a name.
	damageMark = "DAMAGED"
	// damageTextMax bounds what of it is read.
	damageTextMax = 4 << 10
)

// Open opens the store in dir and a runner over it, as [OpenStore] and [NewRunner] do. A store that is damaged is put
// aside under another name, with the time in it, and its views are folded again from the log: [Runner.Refolded] says
// so.
func Open(ctx context.Context, log streams.Log, dir string, o StoreOptions, now time.Time, factories ...Factory) (*Store, *Runner, error) {
	s, r, err := open(ctx, log, dir, o, factories)
	if err == nil || !errors.Is(err, ErrDamaged) {
		return s, r, err
	}
	fs := o.FS
	if fs == nil {
		fs = vfs.Default
	}
	aside := fmt.Sprintf("%s.damaged-%d", strings.TrimSuffix(dir, string(filepath.Separator)), now.Unix())
	if moved := fs.Rename(dir, aside); moved != nil {
		return nil, nil, errors.Join(err, moved)
	}
	damage := err
	if s, r, err = open(ctx, log, dir, o, factories); err == nil {
		note := fmt.Sprintf("the views were damaged and are folded again from the log (%v); the old ones are in %s and may be deleted", damage, aside)
		r.refolded = append([]string{note}, r.refolded...)
	}
	return s, r, err
}

func open(ctx context.Context, log streams.Log, dir string, o StoreOptions, factories []Factory) (*Store, *Runner, error) {
	s, err := OpenStore(dir, o)
	if err != nil {
		return nil, nil, err
	}
	r, err := NewRunner(ctx, log, s, factories...)
	if err == nil {
		return s, r, nil
	}
	return nil, nil, errors.Join(err, s.db.Close())
}

// damageOf is an error of reading the store as one of this package, if it tells of damage; else the error itself.
func damageOf(err error) error {
	if err == nil || !pebble.IsCorruptionError(err) {
		return err
	}
	return Damage(err)
}

// Damage is the error of a view that finds what nobody can have written. It wraps [ErrDamaged].
func Damage(err error) error {
	detail, _, _ := strings.Cut(err.Error(), "\n")
	return &fault.Error{Code: fault.Corrupt, Message: "a view cannot be read (" + detail + ")", Err: ErrDamaged,
		Hint: hintRestart}
}

// hintRestart is the remedy for views that are damaged.
const hintRestart = "start the program again: it puts the views aside and folds them from the log, which has everything"

// damaged notes damage that was met, and leaves a mark for the next start.
func (s *Store) damaged(path string, detail error) {
	text := fmt.Sprintf("%s: %v", filepath.Base(path), detail)
	if text, _, _ = strings.Cut(text, "\n"); !s.damage.CompareAndSwap(nil, &text) {
		return
	}
	f, err := s.fs.Create(s.fs.PathJoin(s.dir, damageMark), vfs.WriteCategoryUnspecified)
	if err != nil {
		return // the next start meets the damage itself
	}
	io.WriteString(f, text) //nolint:errcheck // that it is there is enough
	f.Sync()                //nolint:errcheck
	f.Close()               //nolint:errcheck
}

// Damaged says what damage was met since the store was opened; nil for none. It wraps [ErrDamaged].
func (s *Store) Damaged() error {
	if text := s.damage.Load(); text != nil {
		return fmt.Errorf("%w: %s", ErrDamaged, *text)
	}
	return nil
}

// marked is the damage that an earlier process has met.
func (s *Store) marked() error {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, damageMark))
	if err != nil {
		return nil // it has met none
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, _ := io.ReadAll(io.LimitReader(f, damageTextMax))
	return fmt.Errorf("%w: %s", ErrDamaged, text)
}
