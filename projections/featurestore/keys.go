package featurestore

import (
	"bufio"
	"encoding/binary"
	"io"
	"iter"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
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
func (k Keys) Add(row Row) error {
	b := binary.AppendUvarint(make([]byte, 0, 64), uint64(len(row.Keys)))
	for _, id := range append([]string{row.UserID, row.MovieID, string(row.Said)}, row.Keys...) {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	_, err := k.File.Write(binary.AppendVarint(b, row.TimeMillis))
	return err
}

// All are the rows that were added until now.
func (k Keys) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := bufio.NewReader(k.File.Open())
		for {
			row, err := readKeys(in)
			if err == io.EOF || !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func readKeys(in *bufio.Reader) (row Row, err error) {
	keys, err := binary.ReadUvarint(in)
	if err == io.EOF {
		return row, io.EOF
	}
	for i := 0; err == nil && i < 3+int(keys); i++ {
		var n uint64
		if n, err = binary.ReadUvarint(in); err != nil {
			break
		}
		b := make([]byte, n)
		if _, err = io.ReadFull(in, b); err != nil {
			break
		}
		switch id := string(b); i {
		case 0:
			row.UserID = id
		case 1:
			row.MovieID = id
		case 2:
			row.Said = b
		default:
			row.Keys = append(row.Keys, id)
		}
	}
	if err == nil {
		row.TimeMillis, err = binary.ReadVarint(in)
	}
	return row, fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
}
