package mlflow

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
)

// The kinds of what can be asked about.
const (
	ofAttribute = "attribute"
	ofMetric    = "metric"
	ofParam     = "parameter"
	ofTag       = "tag"
	ofDataset   = "dataset"
)

// grammar is what can be asked about one kind of thing.
type grammar struct {
	kinds    map[string]string // by each name they have
	attrs    map[string]bool   // attributes; true: a number
	alias    map[string]string // other names of attributes
	sortable []string          // attributes to order by; nil: all
	again    bool              // an order may name a key again, to no effect
	capitals bool              // LIKE and IN are in capitals
	whole    bool              // attributes that are numbers are compared with whole ones
	searched []string          // attributes to be asked about in a filter; nil: all
	lists    []string          // attributes that IN asks about
	anyList  bool              // IN asks about every text
	noNull   bool              // nothing is compared with nothing
	named    bool              // numbers may be nan and inf, as Python reads them
	natural  order             // what is ordered by where nothing is said
	ties     order             // and what after all that is, of which the last is the id
}

var everyTag = map[string]string{"tag": ofTag, "tags": ofTag, "attribute": ofAttribute, "attributes": ofAttribute, "attr": ofAttribute}

// value is what something has: text, a number, several texts of which any may fit, or nothing.
type value struct {
	text   string
	texts  []string
	number float64
	is     bool
}

func text(v string) value { return value{text: v, is: true} }

func number(v float64) value { return value{number: v, is: true} }

// having gives what one thing has of a kind, by key.
type having func(kind, key string) value

// clause is a comparison.
type clause struct {
	kind, key string
	op        string
	value     value
	numeric   bool
	list      []string // of IN
}

// The comparisons with nothing.
const (
	isNull    = "IS NULL"
	isNotNull = "IS NOT NULL"
)

// filter is comparisons that all have to hold.
type filter []clause

// datasetKeys are what can be asked of data sets.
var datasetKeys = []string{"context", "digest", "name"}

// holds says whether a thing fits. What it has not fits no comparison, as a join of tables has it.
func (f filter) holds(has having) bool {
	for i := range f {
		if !f[i].holds(has(f[i].kind, f[i].key)) {
			return false
		}
	}
	return true
}

func (c *clause) holds(v value) bool {
	if len(v.texts) > 0 {
		return slices.ContainsFunc(v.texts, func(one string) bool { return c.holds(text(one)) })
	}
	if c.op == isNull || c.op == isNotNull || !v.is {
		return v.is == (c.op == isNotNull) && strings.HasPrefix(c.op, "IS ")
	}
	if c.numeric && math.IsNaN(c.value.number) {
		return false // it is nothing to SQL
	}
	if c.numeric && math.IsNaN(v.number) {
		return c.op == "!=" // every number is another
	}
	order := strings.Compare(v.text, c.value.text)
	if c.numeric {
		order = cmp.Compare(v.number, c.value.number)
	}
	switch c.op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "LIKE":
		return api.Like(c.value.text, v.text)
	case "ILIKE":
		return api.Like(strings.ToLower(c.value.text), strings.ToLower(v.text))
	case "IN":
		return slices.Contains(c.list, v.text)
	}
	return !slices.Contains(c.list, v.text) // NOT IN
}

// scanner cuts a filter into its words.
type scanner struct{ rest string }

// word is the next word: a name, a comparator, a text in quotes, a list in brackets; "" at the end.
func (s *scanner) word() string {
	s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace)
	n := 0
	switch {
	case s.rest == "":
		return ""
	case s.rest[0] == '(':
		if n = quoted(s.rest, ')'); n < len(s.rest) {
			n++
		}
	case strings.ContainsRune("=<>!", rune(s.rest[0])):
		for n < len(s.rest) && n < 2 && strings.IndexByte("=<>!", s.rest[n]) >= 0 {
			n++
		}
	default:
		n = strings.IndexFunc(s.rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("=<>!,", r) })
		if q := strings.IndexAny(s.rest, "'\"`"); q >= 0 && (n < 0 || q < n) { // a name or a text in quotes
			n = q + 1 + closing(s.rest[q+1:], s.rest[q]) + 1
		}
		if n < 0 {
			n = len(s.rest)
		}
		n = min(max(n, 1), len(s.rest))
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

// closing is where a text in quotes ends, or the end. A quote that is doubled, or behind a backslash, stands for itself,
// unless the text would not end otherwise.
func closing(v string, quote byte) int {
	end := len(v)
	for i := 0; i < len(v); i++ {
		switch {
		case quote != '`' && v[i] == '\\' && i+1 < len(v) && v[i+1] == quote:
			i++
			end = i
		case v[i] == quote && i+1 < len(v) && v[i+1] == quote:
			end = i
			i++
		case v[i] == quote:
			return i
		}
	}
	return end
}

// quoted is where a sign stands that is not in quotes, or the end.
func quoted(v string, sign byte) int {
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case sign:
			return i
		case '\'', '"':
			i += 1 + closing(v[i+1:], c)
		}
	}
	return len(v)
}

// unquoted is a text without its quotes; false where it has none.
func unquoted(word string) (string, bool) {
	if len(word) >= 2 && (word[0] == '\'' || word[0] == '"') && word[len(word)-1] == word[0] {
		return word[1 : len(word)-1], true
	}
	return word, false
}

// unescaped is the text between the quotes of an item of a list, which MLflow's store reads as Python reads a literal: escapes
// stand for what they do there. false for what is none.
func unescaped(s string) (string, bool) {
	if !strings.ContainsAny(s, "\\\n\r") {
		return s, true
	}
	const escapes, meant = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\n' || s[i] == '\r':
			return "", false
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 == len(s): // it is the quote that it escapes
			return "", false
		default:
			i++
			if at := strings.IndexByte(escapes, s[i]); at >= 0 {
				b.WriteByte(meant[at])
			} else if strings.IndexByte("xuUN01234567", s[i]) >= 0 {
				return "", false // a character by its number: nobody writes it here
			} else {
				b.WriteString(s[i-1 : i+1])
			}
		}
	}
	return b.String(), true
}

const badClause = "Invalid clause(s) in filter string:"

const filterBytesMax = 16 << 10 // of a request's filter

// read reads a search's filter and its order_by.
func (g *grammar) read(wanted string, by []string) (filter, order, error) {
	f, err := g.filter(wanted)
	if err != nil {
		return nil, nil, err
	}
	o, err := g.order(by)
	return f, o, err
}

// filter reads a filter: comparisons with AND between them.
func (g *grammar) filter(s string) (filter, error) {
	if len(s) > filterBytesMax {
		return nil, invalid("the filter has %d bytes; the most is %d", len(s), filterBytesMax)
	}
	var all filter
	in := scanner{s}
	for word := in.word(); word != ""; word = in.word() {
		if strings.EqualFold(word, "AND") {
			continue // MLflow passes over it, wherever it stands
		}
		c, err := g.clause(word, &in)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (g *grammar) clause(name string, in *scanner) (c clause, err error) {
	said := in.word()
	op := strings.ToUpper(said)
	if op == "NOT" || op == "IS" {
		more := in.word()
		said, op = said+" "+more, op+" "+strings.ToUpper(more)
	}
	if op == "IS NOT" {
		op += " " + strings.ToUpper(in.word())
	}
	if op == isNull || op == isNotNull {
		return g.null(name, op)
	}
	operand := in.word()
	if name == "" || op == "" || operand == "" || !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN"}, op) {
		words := slices.DeleteFunc([]string{name, op, operand}, func(w string) bool { return w == "" })
		return c, invalid(badClause+" %s", api.Short(strings.Join(words, ", ")))
	}
	c.op = op
	if c.kind, c.key, c.numeric, err = g.name(name); err != nil {
		return c, err
	}
	list := strings.HasSuffix(op, "IN")
	words := op == "LIKE" || op == "ILIKE" || list
	switch {
	case c.kind == ofAttribute && g.searched != nil && !slices.Contains(g.searched, c.key):
		return c, invalid("Invalid attribute key '%s' specified. Valid keys are %s", api.Short(c.key), strings.Join(g.searched, ", "))
	case c.numeric && words, !c.numeric && strings.ContainsAny(op, "<>"), g.capitals && words && said != op,
		list && !g.anyList && c.kind != ofDataset && !(c.kind == ofAttribute && slices.Contains(g.lists, c.key)):
		return c, invalid("Invalid comparator '%s' for %s '%s'", op, c.kind, api.Short(c.key))
	case list:
		return c, c.in(operand)
	case c.numeric:
		v, err := strconv.ParseFloat(operand, 64)
		if err != nil || !g.named && strings.Trim(operand, "0123456789+-.eE") != "" { // nan, inf, 0x1p-2 and 1_0 are names there
			return c, invalid("Expected numeric value type for %s. Found %s", c.kind, api.Short(operand))
		}
		if g.whole && c.kind == ofAttribute && strings.ContainsAny(operand, ".eE") {
			return c, invalid("Invalid value for numeric attribute '%s': %s", c.key, api.Short(operand))
		}
		c.value = number(v)
	default:
		v, ok := unquoted(operand)
		if !ok {
			if first, _ := utf8.DecodeRuneInString(operand); unicode.IsLetter(first) || first == '_' {
				return c, invalid("Parameter value is either not quoted or unidentified quote types used for string value %s. Use either single or double quotes.", api.Short(operand))
			}
			return c, invalid("Expected a quoted string value for %s (e.g. 'my-value'). Got value %s", c.kind, api.Short(operand))
		}
		c.value = text(v)
	}
	return c, nil
}

// null is a comparison with nothing: of tags and params, not of metrics and attributes.
func (g *grammar) null(name, op string) (clause, error) {
	kind, key, _, err := g.name(name)
	switch {
	case err != nil:
	case g.noNull:
		err = invalid("Invalid comparator '%s' for %s '%s'", op, kind, api.Short(key))
	case kind != ofTag && kind != ofParam && g.kinds["param"] == "":
		err = invalid("IS NULL / IS NOT NULL is only supported for tags, not for %s '%s'", kind, api.Short(key))
	case kind != ofTag && kind != ofParam:
		err = invalid("IS NULL / IS NOT NULL is only supported for tags and params, not for '%s' '%s'", kind, api.Short(key))
	}
	return clause{kind: kind, key: key, op: op}, err
}

// in reads a list of texts.
func (c *clause) in(operand string) error {
	inner, ok := strings.CutPrefix(operand, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	for s := (scanner{inner}); ok && closed; {
		word := s.word()
		v, is := unquoted(word)
		if is {
			v, is = unescaped(v)
		}
		if ok = is; !ok {
			break
		}
		c.list = append(c.list, v)
		if word = s.word(); word == "" {
			return nil
		}
		if ok = word == ","; ok && len(c.list) == 1 && strings.TrimSpace(s.rest) == "" { // as Python writes a list of one
			return nil
		}
	}
	return invalid("Expected a list of quoted strings for %s, such as ('a', 'b'). Got value %s", c.kind, api.Short(operand))
}

// name reads what is asked about: metrics.rmse, tags.`a b`, start_time.
func (g *grammar) name(word string) (kind, key string, numeric bool, err error) {
	kind, key, dotted := strings.Cut(word, ".")
	if !dotted {
		kind, key = ofAttribute, word
	} else if known, ok := g.kinds[strings.ToLower(kind)]; ok {
		kind = known
	} else {
		return "", "", false, invalid("Invalid entity type '%s'. Valid values are %s", api.Short(kind), strings.Join(slices.Sorted(maps.Keys(g.kinds)), ", "))
	}
	if len(key) >= 2 && key[0] == key[len(key)-1] && strings.IndexByte("`\"", key[0]) >= 0 {
		key = key[1 : len(key)-1]
	}
	if kind == ofAttribute {
		key = cmp.Or(g.alias[key], key)
		if numeric, dotted = g.attrs[key]; !dotted {
			return "", "", false, invalid("Invalid attribute key '%s' specified. Valid keys are %s", api.Short(key), strings.Join(slices.Sorted(maps.Keys(g.attrs)), ", "))
		}
	}
	if kind == ofDataset && !slices.Contains(datasetKeys, key) {
		return "", "", false, invalid("Invalid dataset key '%s' specified. Valid keys are %s", api.Short(key), strings.Join(datasetKeys, ", "))
	}
	return kind, key, numeric || kind == ofMetric, nil
}

// order is by what a list is ordered.
type order []term

type term struct {
	kind, key     string
	numeric, back bool
}

// order reads order_by: names, each with ASC or DESC.
func (g *grammar) order(by []string) (all order, err error) {
	for _, one := range by {
		in := scanner{one}
		name, way, more := in.word(), strings.ToUpper(in.word()), in.word()
		if name == "" || way != "" && way != "ASC" && way != "DESC" || more != "" {
			return nil, invalid("Invalid order_by clause '%s'", api.Short(one))
		}
		kind, key, numeric, err := g.name(name)
		if err != nil {
			return nil, err
		}
		if kind == ofDataset {
			return nil, invalid("Invalid order_by entity: %s", kind)
		}
		if g.sortable != nil && (kind != ofAttribute || !slices.Contains(g.sortable, key)) {
			return nil, invalid("Invalid order by key '%s' specified. Valid keys are %s", api.Short(key), strings.Join(g.sortable, ", "))
		}
		if !g.again && all.has(kind, key) {
			return nil, invalid("`order_by` contains duplicate fields: %s", api.Short(fmt.Sprint(by)))
		}
		all = append(all, term{kind, key, numeric, way == "DESC"})
	}
	if len(all) == 0 {
		all = slices.Clone(g.natural)
	}
	for _, t := range g.ties {
		if !all.has(t.kind, t.key) {
			all = append(all, t)
		}
	}
	return all, nil
}

func (o order) has(kind, key string) bool {
	return slices.ContainsFunc(o, func(t term) bool { return t.kind == kind && t.key == key })
}

// compare orders two things by what they have. What has nothing comes last, either way, and before it what is no number.
func (o order) compare(a, b []value) int {
	for i := range o {
		switch {
		case a[i].is != b[i].is && a[i].is:
			return -1
		case a[i].is != b[i].is:
			return 1
		}
		if x, y := math.IsNaN(a[i].number), math.IsNaN(b[i].number); x || y {
			switch {
			case !y:
				return 1
			case !x:
				return -1
			}
			continue
		}
		n := strings.Compare(a[i].text, b[i].text)
		if o[i].numeric {
			n = cmp.Compare(a[i].number, b[i].number)
		}
		if o[i].back {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}
