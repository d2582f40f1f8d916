package rawjson

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzEach: of valid JSON it finds the parts that encoding/json finds.
func FuzzEach(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, ` [ ] `, `{"a":1}`, `{"a" : [1, "]", {"}": null}] ,"b":"\"," , "":-1.5e+3}`, `["\\","\u005c\"",[[]],{},{"a":[]},true,null ]`, `[1 ,2
,3]`, `{"a":1,"a":2}`, "[\"\u20ac\"]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' || !json.Valid(raw) {
			return
		}
		if raw[0] == '[' {
			var want []json.RawMessage
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Skip() // too deep
			}
			i := 0
			Each(raw, func(name, value []byte) {
				if name != nil || i >= len(want) || !bytes.Equal(value, want[i]) {
					t.Fatalf("%s: %q is value %d; want %q", raw, value, i, want)
				}
				i++
			})
			if i != len(want) {
				t.Fatalf("%s: %d of %d values", raw, i, len(want))
			}
			return
		}
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Skip()
		}
		got := map[string]bool{}
		last := map[string][]byte{}
		Each(raw, func(name, value []byte) { got[Text(name)], last[Text(name)] = true, value })
		for name, value := range last {
			if text := string(bytes.ToValidUTF8([]byte(name), []byte("\ufffd"))); text == name && !bytes.Equal(want[name], value) {
				t.Fatalf("%s: %q is %q; want %q", raw, name, value, want[name])
			}
		}
		if len(got) < len(want) {
			t.Fatalf("%s: %d of %d fields", raw, len(got), len(want))
		}
	})
}
