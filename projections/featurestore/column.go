package featurestore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/ml/drift"
	"github.com/projectionist/projectionist/ml/features"
)

const (
	// wordsMax is how many distinct texts are counted of all features of a view, and wordsLeast of each at least; wordBytesMax is what is
	// kept of each.
	wordsMax     = 200_000
	wordsLeast   = 100
	wordBytesMax = 100

	histogramBins = 10
	topWords      = 10
	driftBins     = 10 // of a feature that is a number
	driftWords    = 50 // of one that is a text, beside all others
	driftLeast    = 100
	// driftThreshold is from which distance on a feature has drifted, where chance alone does not come near it.
	driftThreshold = .1
)

// Statistics is how a feature is distributed.
type Statistics struct {
	Feature   string `json:"feature"`
	Type      string `json:"type"`
	Count     int64  `json:"count"`                // entities that have a value
	Nulls     int64  `json:"nulls"`                // that have none
	Expired   int64  `json:"expired,omitempty"`    // whose value is older than the view's ttl
	NotFinite int64  `json:"not_finite,omitempty"` // whose value is NaN or infinite, which the numbers leave out

	Numbers *Numbers `json:"numbers,omitempty"`
	Words   *Words   `json:"words,omitempty"`
	Drift   *Drift   `json:"drift,omitempty"`

	of *distribution
}

// Numbers is how numbers are distributed. Mean and deviation are missing where they are beyond all numbers.
type Numbers struct {
	Min       float64            `json:"min"`
	Max       float64            `json:"max"`
	Mean      *float64           `json:"mean,omitempty"`
	Deviation *float64           `json:"deviation,omitempty"` // from the mean
	Quantiles map[string]float64 `json:"quantiles"`
	Distinct  int64              `json:"distinct"`
	Histogram []Bin              `json:"histogram,omitempty"` // of bins of one width
}

// Bin is how many numbers there are from one on to before another; those of the last bin up to and with it.
type Bin struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Count int64   `json:"count"`
}

// Words is how texts are distributed; of lists, their items.
type Words struct {
	Distinct int64  `json:"distinct"`
	AtLeast  bool   `json:"at_least,omitempty"` // there are more distinct ones than were counted
	Items    int64  `json:"items,omitempty"`    // of all lists
	Top      []Word `json:"top"`
}

// Word is a text and how often it was met.
type Word struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Drift is how far a feature is from that of a table. What has no value is a bin of its own.
type Drift struct {
	JS        float64  `json:"js"` // distance of Jensen and Shannon
	PSI       float64  `json:"psi"`
	KS        *float64 `json:"ks,omitempty"` // of numbers
	Threshold float64  `json:"threshold"`    // of the distance: .1, or twice what chance makes of so few
	Drifted   bool     `json:"drifted"`
	Reference Counted  `json:"reference"`
	TooFew    bool     `json:"too_few,omitempty"` // of one of both there is too little to tell
}

// Counted is how many values a table has, and how many of them are none.
type Counted struct {
	Rows  int64    `json:"rows"` // of the sample
	Nulls int64    `json:"nulls"`
	Mean  *float64 `json:"mean,omitempty"`
}

// distribution is the values of a feature.
type distribution struct {
	name, typ  string
	nulls, old int64
	infinite   int64
	numbers    []float64
	count      int64 // of values
	items      int64
	words      map[string]int64
	wordsMax   int
	others     int64 // of words that are too many to be counted each
	empty      int64 // of lists: those that a table's cell has no text for, and of them those of one item
	blank      int64

	sorted bool
}

// numeric says whether the feature is a number.
func (c *distribution) numeric() bool {
	switch c.typ {
	case string(features.Float64), string(features.Int64), features.TypeInt32, features.TypeFloat32, features.TypeTimestamp:
		return true
	}
	return false
}

func (c *distribution) list() bool { return strings.HasSuffix(c.typ, "_list") }

// missing takes a value that is not there, and says whether it is one.
func (c *distribution) missing(status features.Status) bool {
	switch status {
	case features.Present:
		return false
	case features.OutsideMaxAge:
		c.old++
	default:
		c.nulls++
	}
	return true
}

func (c *distribution) add(v *features.Value) {
	if c.missing(v.Status) {
		return
	}
	if x, ok := v.Number(); ok {
		c.number(x)
		return
	}
	c.count++
	if v.Type == features.String {
		c.word(v.Str)
		return
	}
	c.addItems(v.List)
}

func (c *distribution) addJSON(raw json.RawMessage, status features.Status) error {
	if c.missing(status) {
		return nil
	}
	if c.list() {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		texts := make([]string, len(items))
		for i, item := range items {
			text, err := textOf(item)
			if err != nil {
				return err
			}
			texts[i] = text
		}
		c.count++
		c.addItems(texts)
		return nil
	}
	text, err := textOf(raw)
	switch {
	case err != nil:
	case c.numeric():
		c.number(numberOf(text))
	default:
		c.count++
		c.word(text)
	}
	return err
}

func (c *distribution) addItems(items []string) {
	for _, item := range items {
		c.word(item)
	}
	if len(items) == 0 {
		c.empty++
	} else if len(items) == 1 && items[0] == "" {
		c.empty, c.blank = c.empty+1, c.blank+1
	}
}

// numberOf is the number that a text is; what is none is not finite.
func numberOf(text string) float64 {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// addText adds a value as a cell of a table has it.
func (c *distribution) addText(text string) {
	switch {
	case text == "":
		c.nulls++
	case c.numeric():
		c.number(numberOf(c.formOf(text)))
	case c.list():
		c.count++
		for item := range strings.SplitSeq(text, "|") {
			c.word(c.formOf(item))
		}
	default:
		c.count++
		c.word(text)
	}
}

// formOf is the form that a value or an item of a cell has elsewhere: times are dates in tables, and seconds in JSON.
func (c *distribution) formOf(cell string) string {
	if strings.TrimSuffix(c.typ, "_list") != features.TypeTimestamp {
		return cell
	}
	form, err := features.Coerce(features.TypeTimestamp, json.RawMessage(strconv.Quote(cell)))
	if err != nil {
		return cell
	}
	return string(form)
}

// asCells is the distribution as the cells of a table tell it: a text or a list that is empty is none there, and an item ends at each |.
func (c *distribution) asCells() *distribution {
	blank, empty := c.words[""], c.words[""]
	if c.list() {
		blank, empty = c.blank, c.empty
	}
	d := *c
	d.items, d.nulls, d.words = c.items-blank, c.nulls+empty, map[string]int64{}
	for _, text := range slices.Sorted(maps.Keys(c.words)) {
		n := c.words[text]
		if text == "" {
			n -= blank
		}
		if !c.list() || !strings.Contains(text, "|") {
			d.words[text] += n
			continue
		}
		d.items -= n
		for part := range strings.SplitSeq(text, "|") {
			if d.items += n; len(d.words) < c.wordsMax || d.words[part] > 0 {
				d.words[part] += n
			}
		}
	}
	return &d
}

func (c *distribution) number(x float64) {
	if c.count++; math.IsNaN(x) || math.IsInf(x, 0) {
		c.infinite++
		return
	}
	c.numbers = append(c.numbers, x)
}

func (c *distribution) word(text string) {
	c.items++
	if len(text) > wordBytesMax {
		text = fmt.Sprintf("%s… (%016x)", strings.ToValidUTF8(text[:wordBytesMax-24], ""), hashOf(text))
	}
	if _, known := c.words[text]; !known && len(c.words) >= c.wordsMax {
		c.others++
		return
	}
	c.words[strings.Clone(text)]++
}

// sort has the numbers in order.
func (c *distribution) sort() {
	if !c.sorted {
		slices.Sort(c.numbers)
		c.sorted = true
	}
}

// top are the words that were met most, of as many the first by their letters.
func (c *distribution) top(n int) (top []Word) {
	for _, w := range slices.SortedFunc(maps.Keys(c.words), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.words[b], c.words[a]), cmp.Compare(a, b))
	}) {
		if len(top) == n {
			break
		}
		top = append(top, Word{w, c.words[w]})
	}
	return top
}

func (c *distribution) statistics() Statistics {
	s := Statistics{Feature: c.name, Type: c.typ, Count: c.count, Nulls: c.nulls, Expired: c.old, NotFinite: c.infinite, of: c}
	if c.numeric() {
		if len(c.numbers) > 0 {
			c.sort()
			s.Numbers = numbersOf(c.numbers)
		}
		return s
	}
	s.Words = &Words{Distinct: int64(len(c.words)), AtLeast: c.others > 0, Top: append([]Word{}, c.top(topWords)...)}
	if c.list() {
		s.Words.Items = c.items
	}
	return s
}

// quantiles are those that are told.
var quantiles = []struct {
	name string
	p    float64
}{{"p01", .01}, {"p05", .05}, {"p25", .25}, {"p50", .5}, {"p75", .75}, {"p95", .95}, {"p99", .99}}

// numbersOf tells of numbers in ascending order, of which there is one at least.
func numbersOf(x []float64) *Numbers {
	n := &Numbers{Min: x[0], Max: x[len(x)-1], Quantiles: map[string]float64{}}
	mean, deviation := moments(x)
	n.Mean, n.Deviation = finite(mean), finite(deviation)
	for _, q := range quantiles {
		n.Quantiles[q.name] = x[min(max(int(math.Ceil(q.p*float64(len(x))))-1, 0), len(x)-1)] // the nearest rank
	}
	for i := range x {
		if i == 0 || x[i] != x[i-1] {
			n.Distinct++
		}
	}
	width := (n.Max - n.Min) / histogramBins
	switch {
	case n.Max == n.Min:
		n.Histogram = []Bin{{n.Min, n.Max, int64(len(x))}}
		return n
	case math.IsInf(width, 0) || width == 0:
		return n
	}
	for i := range histogramBins {
		n.Histogram = append(n.Histogram, Bin{From: n.Min + float64(i)*width, To: n.Min + float64(i+1)*width})
	}
	n.Histogram[histogramBins-1].To = n.Max
	for _, v := range x {
		n.Histogram[min(int((v-n.Min)/width), histogramBins-1)].Count++
	}
	return n
}

func moments(x []float64) (mean, deviation float64) {
	for i, v := range x { // the running form does not overflow where the mean is a number
		mean += (v - mean) / float64(i+1)
	}
	for i, v := range x {
		deviation += ((v-mean)*(v-mean) - deviation) / float64(i+1)
	}
	return mean, math.Sqrt(deviation)
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// drift is how far the values are from those of a reference.
func (c *distribution) drift(reference *distribution) *Drift {
	d := &Drift{Threshold: driftThreshold, Reference: Counted{Rows: reference.count + reference.nulls, Nulls: reference.nulls}}
	var bins [2][]float64
	if c.numeric() {
		c.sort()
		reference.sort()
		if len(reference.numbers) > 0 {
			mean, _ := moments(reference.numbers)
			d.Reference.Mean = finite(mean)
			edges := drift.Edges(reference.numbers, driftBins)
			for i, of := range []*distribution{reference, c} {
				bins[i] = make([]float64, len(edges)+1)
				for _, x := range of.numbers {
					bins[i][drift.Bin(edges, x)]++
				}
			}
		}
		if ks, ok := drift.KS(reference.numbers, c.numbers); ok {
			d.KS = &ks
		}
	} else {
		c = c.asCells()
		top := reference.top(driftWords)
		for i, of := range []*distribution{reference, c} {
			rest := of.items
			for _, w := range top {
				bins[i] = append(bins[i], float64(of.words[w.Value]))
				rest -= of.words[w.Value]
			}
			bins[i] = append(bins[i], float64(rest))
		}
	}
	for i, of := range []*distribution{reference, c} {
		bins[i] = append(bins[i], float64(of.nulls+of.old), float64(of.infinite))
	}
	var sums [2]float64
	filled := 0
	for i := range bins[0] {
		sums[0], sums[1] = sums[0]+bins[0][i], sums[1]+bins[1][i]
		if bins[0][i]+bins[1][i] > 0 {
			filled++
		}
	}
	d.JS, _ = drift.Distance(bins[0], bins[1])
	d.PSI, _ = drift.PSI(bins[0], bins[1])
	d.TooFew = min(sums[0], sums[1]) < driftLeast
	d.Threshold = max(driftThreshold, 2*drift.Chance(filled, sums[0], sums[1]))
	d.Drifted = !d.TooFew && d.JS >= d.Threshold
	return d
}
