package featurestore

import (
	"bufio"
	"encoding/binary"
	"io"
	"iter"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
)

// JoinsMax is how many joins of tables may be under way at once: each takes a core, and its body and values the disk.
const JoinsMax = 2

// BeginJoin admits a join of a table; done ends it.
func (f *Store) BeginJoin() (done func(), err error) {
	select {
	case f.joins <- struct{}{}:
		return func() { <-f.joins }, nil
	default:
		return nil, fault.New(fault.Unavailable, "%d joins are under way already", JoinsMax).WithHint("try again when one has ended")
	}
}

// Keys is what a join needs of rows, in their order, in a file.
type Keys struct{ File *spill.File }

// Add takes a row.
func (k Keys) Add(row features.Row) error {
	b := make([]byte, 0, 64)
	for _, id := range []string{row.UserID, row.MovieID} {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	_, err := k.File.Write(binary.AppendVarint(b, row.TimeMillis))
	return err
}

// All are the rows that were added until now.
func (k Keys) All() iter.Seq2[features.Row, error] {
	return func(yield func(features.Row, error) bool) {
		in := bufio.NewReader(k.File.Open())
		for {
			row, err := readKeys(in)
			if err == io.EOF || !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func readKeys(in *bufio.Reader) (row features.Row, err error) {
	for i, id := range []*string{&row.UserID, &row.MovieID} {
		n, err := binary.ReadUvarint(in)
		if err != nil && (i > 0 || err != io.EOF) {
			return row, fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
		} else if err != nil {
			return row, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return row, fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
		}
		*id = string(b)
	}
	row.TimeMillis, err = binary.ReadVarint(in)
	return row, fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
}
