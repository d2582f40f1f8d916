package arrow

import "testing"

// FuzzBatch: whatever a schema and a batch say, they are read to the last cell, cut and written, or refused.
func FuzzBatch(f *testing.F) {
	for _, name := range []string{"all.arrows", "dictionary.arrows"} {
		all := messages(f, name)
		for _, m := range all[1:] {
			f.Add(all[0][0], m[0], m[1])
		}
	}
	f.Fuzz(func(t *testing.T, schema, header, body []byte) {
		s, err := ReadSchema(schema)
		if err != nil {
			return
		}
		IsBatch(header) //nolint:errcheck // only that it does not panic
		rows, columns, err := s.ReadBatch(header, body)
		if err != nil || rows > 1<<16 { // of columns of nothing there may be any number
			return
		}
		for i, a := range columns {
			shown(a)
			columns[i] = a.Slice(rows/3, rows-rows/4)
			shown(columns[i])
		}
		WriteBatch(rows-rows/4-rows/3, columns)
		s.Write()
	})
}
