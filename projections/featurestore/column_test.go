package featurestore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

func columnOf(typ string, cells ...string) *distribution {
	s := newSample([]string{"x"}, []string{typ})
	for _, cell := range cells {
		s.columns[0].addText(cell)
	}
	return s.columns[0]
}

func TestColumnOfNumbers(t *testing.T) {
	s := columnOf("float64", "4", "", "1", "2", "NaN", "3", "2").statistics()
	n := s.Numbers
	if s.Count != 6 || s.Nulls != 1 || s.NotFinite != 1 || n.Min != 1 || n.Max != 4 || *n.Mean != 2.4 || n.Distinct != 4 || n.Quantiles["p50"] != 2 || n.Quantiles["p99"] != 4 {
		t.Errorf("%+v %+v", s, n)
	}
	all := int64(0)
	for i, b := range n.Histogram {
		if all += b.Count; i > 0 && b.From != n.Histogram[i-1].To {
			t.Errorf("%+v", n.Histogram)
		}
	}
	if all != 5 || n.Histogram[0].Count != 1 || n.Histogram[9].Count != 1 {
		t.Errorf("%+v", n.Histogram)
	}
	if one := columnOf("int64", "7", "7").statistics().Numbers; len(one.Histogram) != 1 || one.Histogram[0].Count != 2 || *one.Deviation != 0 {
		t.Errorf("%+v", one)
	}
	// Numbers at the ends of what there is: an answer in JSON, without what it cannot say.
	big := columnOf("float64", "1.7e308", "-1.7e308", "1.7e308").statistics()
	if _, err := json.Marshal(big); err != nil {
		t.Error(err)
	}
}

func TestColumnOfWords(t *testing.T) {
	s := columnOf("string_list", "b|a", "b", "", "c").statistics()
	if s.Count != 3 || s.Nulls != 1 || s.Words.Items != 4 || s.Words.Distinct != 3 || s.Words.Top[0] != (Word{"b", 2}) || s.Words.Top[1].Value != "a" {
		t.Errorf("%+v %+v", s, s.Words)
	}
	c := columnOf("string")
	c.wordsMax = 10
	for i := range 100 {
		c.addText(fmt.Sprintf("%0200d", i%20)) // as long as texts may be
	}
	if s := c.statistics(); s.Words.Distinct != 10 || !s.Words.AtLeast || s.Count != 100 || len(s.Words.Top[0].Value) > wordBytesMax {
		t.Errorf("%+v %+v", s, s.Words)
	}
	if d := c.drift(c); d.JS != 0 || d.Drifted {
		t.Errorf("%+v", d)
	}
}

// TestColumnDrift: samples of one distribution have not drifted, however small; a shift of half a deviation has, and so have values that are
// missing, and a constant that is another.
func TestColumnDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	normal := func(n int, mean float64) *distribution {
		c := columnOf("float64")
		for range n {
			c.number(rng.NormFloat64() + mean)
		}
		return c
	}
	for _, n := range []int{100, 300, 2000} {
		for range 200 {
			if d := normal(n, 0).drift(normal(n+50, 0)); d.Drifted || d.TooFew {
				t.Fatalf("of %d of the same: %+v", n, d)
			}
		}
	}
	if d := normal(2000, .5).drift(normal(2000, 0)); !d.Drifted || *d.KS < .15 || d.PSI < .2 || math.Abs(*d.Reference.Mean) > .1 {
		t.Errorf("shifted: %+v", d)
	}
	if d := normal(50, 9).drift(normal(2000, 0)); d.Drifted || !d.TooFew {
		t.Errorf("too few: %+v", d)
	}
	gone := normal(1000, 0)
	gone.nulls = 500
	if d := gone.drift(normal(1000, 0)); !d.Drifted || *d.KS > .1 {
		t.Errorf("missing: %+v", d)
	}
	constant := func(x float64) *distribution {
		c := columnOf("float64")
		for range 500 {
			c.number(x)
		}
		return c
	}
	if d := constant(5).drift(constant(0)); !d.Drifted || math.Abs(d.JS-1) > 1e-9 {
		t.Errorf("another constant: %+v", d)
	}
	if d := constant(5).drift(columnOf("float64")); d.Drifted || !d.TooFew || d.KS != nil {
		t.Errorf("against nothing: %+v", d)
	}
	words := func(of ...string) *distribution {
		c := columnOf("string")
		for range 300 {
			for _, w := range of {
				c.addText(w)
			}
		}
		return c
	}
	if d := words("a", "b").drift(words("b", "a")); d.JS != 0 {
		t.Errorf("the same words: %+v", d)
	}
	if d := words("a", "c").drift(words("a", "b")); !d.Drifted {
		t.Errorf("others: %+v", d)
	}
}

// TestDriftOfOtherForms: values are none away from the same values as the cells of a training set have them, of every type.
func TestDriftOfOtherForms(t *testing.T) {
	values := map[string][]string{
		"timestamp": {"1700000000", "-1", "0", "253402300799", "null"}, "bytes": {`"AQI="`, `""`}, "bool": {"true", "false"}, "int32": {"7", "-7"}, "int64": {"9007199254740993"},
		"float32": {"0.1", "2.0", `"NaN"`}, "float64": {"1e+300", `"-Infinity"`, "null"}, "string": {`"a|b"`, `""`, `"é,\""`, "null"},
	}
	lists := map[string][]string{"string": {`["a","b|c","c"]`, `[]`, `[""]`, `["",""]`, `["|"]`, "null"}}
	for typ, of := range values {
		for _, form := range of {
			if form != "null" && typ != "string" {
				lists[typ] = append(lists[typ], "["+form+","+of[0]+"]", "["+form+"]")
			}
		}
	}
	for typ, of := range lists {
		values[typ+"_list"] = of
	}
	for typ, of := range values {
		served, set := columnOf(typ), columnOf(typ)
		field := &events.FeatureField{Name: "x", Type: typ}
		for range 100 {
			for _, form := range of {
				v, status := features.Value{Status: features.NullValue}, features.NullValue
				if form != "null" {
					v, status = features.ValueOf(field, []byte(form)), features.Present
				}
				if err := served.addJSON(json.RawMessage(form), status); err != nil {
					t.Fatal(err)
				}
				set.addText(string(v.AppendText(nil)))
			}
		}
		d := served.drift(set)
		if d.JS != 0 || d.Drifted || d.KS != nil && *d.KS != 0 || d.TooFew {
			t.Errorf("%s: a distance of %v; %d nulls and %v, as cells %d and %v", typ, d.JS, served.nulls, served.words, set.nulls, set.words)
		}
	}
	text := columnOf("string")
	if err := text.addJSON(json.RawMessage(`""`), features.Present); err != nil || text.count != 1 || text.nulls != 0 {
		t.Errorf("an empty text is a value: %d values, %d nulls, %v", text.count, text.nulls, err)
	}
}

// TestChosen: those whose hashes are the least, whatever the order, and all where there are few.
func TestChosen(t *testing.T) {
	ids := make([]string, 5000)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	pick := func(n int) []string {
		got, all, err := chosen(context.Background(), func(yield func(string, error) bool) {
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
		}, n)
		if err != nil || all != int64(len(ids)) {
			t.Fatal(all, err)
		}
		return got
	}
	first := pick(700)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	if again := pick(700); len(first) != 700 || !slices.Equal(first, again) {
		t.Errorf("%d and %d, not the same", len(first), len(again))
	}
	want := slices.Clone(ids)
	slices.SortFunc(want, func(a, b string) int {
		if hashOf(a) < hashOf(b) {
			return -1
		}
		return 1
	})
	want = want[:700]
	slices.Sort(want)
	if !slices.Equal(first, want) {
		t.Error("others than those of the least hashes")
	}
	if all := pick(9999); len(all) != len(ids) {
		t.Errorf("%d of %d", len(all), len(ids))
	}
}

// TestReference: about as many rows of a large table as are asked for, spread over it.
func TestReference(t *testing.T) {
	const rows = 100_000
	r := NewReference([]string{"x"}, []string{string(features.Int64)}, []int{1}, rows, 1000)
	for i := range rows {
		r.Add([]string{"", strconv.Itoa(i)})
	}
	c := r.columns[0]
	if n := len(c.numbers); n < 850 || n > 1150 {
		t.Errorf("%d rows", n)
	}
	if mean, _ := moments(c.numbers); mean < .45*rows || mean > .55*rows {
		t.Errorf("a mean of %v", mean)
	}
	small := NewReference([]string{"x"}, []string{string(features.Int64)}, []int{0}, 10, 1000)
	for i := range 10 {
		small.Add([]string{strconv.Itoa(i)})
	}
	if len(small.columns[0].numbers) != 10 {
		t.Errorf("%+v", small.columns[0])
	}
}
