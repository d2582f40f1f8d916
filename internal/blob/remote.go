package blob

import (
	"context"
	"io"
	"iter"

	"github.com/projectionist/projectionist/internal/fault"
)

// Remote keeps blobs beyond the folder of a node, so that they outlive it, and every node of a log has them. It is safe
// for concurrent use. Whatever it cannot do for now is fault.Unavailable.
type Remote interface {
	// Put stores the content of a hash. One that is there already, of that size, is left.
	Put(ctx context.Context, hash string, content *io.SectionReader, size int64) error
	// Get opens a blob, which is not checked against its name. The error is fault.NotFound where there is none.
	Get(ctx context.Context, hash string) (io.ReadCloser, error)
	// All yields the hashes of all blobs there.
	All(ctx context.Context) iter.Seq2[string, error]
	// Remove removes a blob; one that is not there is no error.
	Remove(ctx context.Context, hash string) error
	// String is its address, without secrets.
	String() string
}

// Fetch puts a blob here that the remote has. Errors: fault.NotFound where there is no remote, or it has none, and those
// of [Store.PutAs].
func (s *Store) Fetch(ctx context.Context, hash string) error {
	if s.Remote == nil {
		return notHere(hash)
	}
	r, err := s.Remote.Get(ctx, hash)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = s.PutAs(ctx, hash, r)
	return err
}

// Mirror gives the remote those blobs here that are wanted and that it lacks, which were put before there was one. It
// returns how many and their bytes. One that is damaged is not given: the error is that of the first of these, when
// all others are.
func (s *Store) Mirror(ctx context.Context, wanted func(hash string) bool, progress func(done, total int)) (put int, size int64, err error) {
	has := map[string]bool{}
	for hash, err := range s.Remote.All(ctx) {
		if err != nil {
			return 0, 0, err
		}
		has[hash] = true
	}
	var lacks []string
	for hash, err := range s.All() {
		if err != nil {
			return 0, 0, err
		}
		if !has[hash] && wanted(hash) {
			lacks = append(lacks, hash)
		}
	}
	for i, hash := range lacks {
		n, e := s.mirror(ctx, hash)
		switch {
		case e == nil:
			put++
			size += n
		case !fault.Is(e, fault.Corrupt) && !fault.Is(e, fault.NotFound):
			return put, size, e
		case err == nil:
			err = e
		}
		progress(i+1, len(lacks))
	}
	return put, size, err
}

func (s *Store) mirror(ctx context.Context, hash string) (size int64, err error) {
	f, err := s.Open(ctx, hash)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, unreadable(hash, err)
	}
	return info.Size(), s.Remote.Put(ctx, hash, io.NewSectionReader(f, 0, info.Size()), info.Size())
}
