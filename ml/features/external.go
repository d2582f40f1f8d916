package features

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/document"
	"github.com/projectionist/projectionist/internal/fault"
)

// External is a view whose values are computed elsewhere and pushed: this package knows what they may be, not what they
// are made of.
type External struct {
	Name        string                `json:"name"`
	Project     string                `json:"project,omitempty"` // of Feast's registry; "" is declared in the definitions file
	Entities    []string              `json:"entities"`
	JoinKeys    []events.FeatureField `json:"join_keys"`
	TTLMillis   int64                 `json:"ttl_millis"` // 0: values do not expire
	PushSource  string                `json:"push_source,omitempty"`
	TimeColumn  string                `json:"time_column,omitempty"` // of what is pushed; "" is event_timestamp
	CreatedIn   string                `json:"created_column,omitempty"`
	Description string                `json:"description,omitempty"`
	Features    []events.FeatureField `json:"features"`

	places map[string]int // of the features, where they are indexed
}

// Index makes features found at once by their names; they do not change any more.
func (x *External) Index() *External {
	x.places = make(map[string]int, len(x.Features))
	for i := range x.Features {
		x.places[x.Features[i].Name] = i
	}
	return x
}

// Feature is the view's feature of a name, or nil.
func (x *External) Feature(name string) *events.FeatureField {
	if i, ok := x.places[name]; ok && i < len(x.Features) && x.Features[i].Name == name { // else it may be a copy with other features
		return &x.Features[i]
	}
	i := slices.IndexFunc(x.Features, func(f events.FeatureField) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &x.Features[i]
}

// HasColumn says whether a column of the view's table is of that name: a feature, a join key, or the time.
func (x *External) HasColumn(name string) bool {
	return x.Feature(name) != nil || x.JoinKey(name) != nil || name == cmp.Or(x.TimeColumn, "event_timestamp")
}

// CreatedColumn is the column of when values were computed; "" where there is none. Views of the definitions file have one, unless
// another of theirs is called so.
func (x *External) CreatedColumn() string {
	if x.CreatedIn == "" && x.Project == "" && !x.HasColumn("created") {
		return "created"
	}
	return x.CreatedIn
}

// bare is the view without what does not count for [Definitions.Hash].
func (x *External) bare() *External {
	c := *x
	c.Description, c.Features, c.places = "", slices.Clone(x.Features), nil
	for i := range c.Features {
		c.Features[i].Description = ""
	}
	return &c
}

// HashWith is the hash of definitions together with views of pushed values that are declared elsewhere; of none it is theirs.
func HashWith(hash string, views []*External) string {
	if len(views) == 0 {
		return hash
	}
	var bare []*External
	for _, x := range views {
		bare = append(bare, x.bare())
	}
	slices.SortFunc(bare, func(a, b *External) int { return strings.Compare(a.Name, b.Name) })
	canonical, err := json.Marshal(bare)
	if err != nil {
		panic(err) // strings and whole numbers only
	}
	sum := sha256.Sum256(append([]byte(hash+"\n"), canonical...))
	return hex.EncodeToString(sum[:])
}

// ExternalView is the view of pushed values of a name that the file declares, or nil.
func (d *Definitions) ExternalView(name string) *External {
	i := slices.IndexFunc(d.External, func(x *External) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return d.External[i]
}

func (d *Definitions) parseExternal(c *checker, list *document.Node) {
	items := c.List("external_views", list)
	if len(items) > viewsMax {
		c.Fail(document.At("external_views", list, "has %d views", len(items)).WithHint("list at most %d", viewsMax))
		return
	}
	for i, n := range items {
		path := fmt.Sprintf("external_views[%d]", i)
		if !c.Mapping(path, n, "name", "entity", "ttl", "push_source", "description", "features") {
			continue
		}
		x := &External{Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		x.Name = c.name(path, n, func(name string) bool { return d.View(name) != nil || d.ExternalView(name) != nil })
		entity := Entity(c.Text(document.Join(path, "entity"), n.Field("entity")))
		if !d.entity(entity) {
			c.Fail(document.At(document.Join(path, "entity"), n.Field("entity"), "%q is not among the entities", entity).WithHint("name one of entities"))
		}
		x.Entities, x.JoinKeys = []string{string(entity)}, []events.FeatureField{{Name: string(entity) + "_id", Type: string(String)}}
		if ttl := n.Field("ttl"); ttl != nil && ttl.Text != "0" {
			x.TTLMillis = c.duration(document.Join(path, "ttl"), ttl, "write a duration such as 90d, or 0 for values that do not expire")
		}
		x.PushSource = x.Name + "_push"
		if f := n.Field("push_source"); f != nil {
			x.PushSource = c.Text(document.Join(path, "push_source"), f)
		}
		fields := c.List(document.Join(path, "features"), n.Field("features"))
		if len(fields) == 0 || len(fields) > featuresMax {
			c.Fail(document.At(document.Join(path, "features"), n.Field("features"), "has %d features", len(fields)).WithHint("list 1 to %d", featuresMax))
		}
		for j, item := range fields {
			at := fmt.Sprintf("%s.features[%d]", path, j)
			if !c.Mapping(at, item, "name", "type", "description") {
				continue
			}
			f := events.FeatureField{Description: c.Text(document.Join(at, "description"), item.Field("description"))}
			f.Name = c.name(at, item, func(name string) bool { return x.Feature(name) != nil })
			f.Type = c.Text(document.Join(at, "type"), item.Field("type"))
			if !IsExternalType(f.Type) {
				c.Fail(document.At(document.Join(at, "type"), item.Field("type"), "%q is not a type", f.Type).WithHint("want one of %s", strings.Join(ExternalTypes(), ", ")))
			}
			x.Features = append(x.Features, f)
		}
		d.External = append(d.External, x.Index())
	}
}

// TypeBytes, TypeBool, … are the types of values that only external views have, beside those of [Type].
const (
	TypeBytes     = "bytes" // base64 in JSON
	TypeBool      = "bool"
	TypeInt32     = "int32"
	TypeFloat32   = "float32"
	TypeTimestamp = "timestamp" // whole seconds since 1970 in JSON
	listSuffix    = "_list"     // of a list of any of them
)

// secondsMin and secondsMax are those of the years 0 to 9999, which every form of a time can say.
const secondsMin, secondsMax = -62_167_219_200, 253_402_300_799

var scalars = []string{TypeBytes, string(String), TypeInt32, string(Int64), string(Float64), TypeFloat32, TypeBool, TypeTimestamp}

// ExternalTypes are the types that a feature of an external view can have.
func ExternalTypes() []string {
	all := slices.Clone(scalars)
	for _, s := range scalars {
		all = append(all, s+listSuffix)
	}
	return all
}

// IsExternalType says whether a feature of an external view can have the type.
func IsExternalType(t string) bool {
	return slices.Contains(scalars, strings.TrimSuffix(t, listSuffix))
}

// Canonical says of a value that it has the form that [Coerce] would give it, without making it; of types other than numbers it says so of none.
func Canonical(t string, raw json.RawMessage) bool {
	if len(raw) == 0 || len(raw) > 32 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return false
	}
	var room [32]byte
	switch t {
	case string(Float64), TypeFloat32:
		bits, digits := 64, 15
		if t == TypeFloat32 {
			bits, digits = 32, 6
		}
		if plain(raw, digits) {
			return true
		}
		x, err := strconv.ParseFloat(string(raw), bits)
		return err == nil && string(AppendFloat(room[:0], x, bits)) == string(raw)
	case string(Int64):
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return err == nil && string(strconv.AppendInt(room[:0], n, 10)) == string(raw)
	}
	return false
}

// plain says of a number that it is written as [AppendFloat] would: few enough significant digits that a float of the type
// gives them back (15 of an IEEE 754 double, 6 of a single), none of them to spare, and no exponent. Of others it knows nothing.
func plain(raw []byte, digits int) bool {
	if raw[0] == '-' {
		raw = raw[1:]
	}
	whole, fraction, ok := bytes.Cut(raw, []byte{'.'})
	if !ok || len(whole) == 0 || len(whole) > digits || len(fraction) == 0 {
		return false
	}
	for _, part := range [2][]byte{whole, fraction} {
		for _, c := range part {
			if c < '0' || c > '9' {
				return false
			}
		}
	}
	if whole[0] == '0' && (len(whole) > 1 || fraction[0] == '0') { // zero, or near it
		return false
	}
	if last := fraction[len(fraction)-1]; last == '0' && len(fraction) > 1 {
		return false
	}
	return len(whole)+len(fraction) <= digits
}

// Coerce gives a value of a type the one form that it has, from what JSON of it may look like: a float has a decimal
// point, a whole number none, an instant is in seconds. null is none, of any type.
func Coerce(t string, raw json.RawMessage) (json.RawMessage, error) {
	text := strings.TrimSpace(string(raw))
	if text == "null" || text == "" {
		return json.RawMessage("null"), nil
	}
	scalar, list := strings.CutSuffix(t, listSuffix)
	if !list {
		return coerced(t, text)
	}
	var items []json.RawMessage
	if text[0] != '[' || json.Unmarshal([]byte(text), &items) != nil {
		return nil, fault.New(fault.Invalid, "want a list of %s, or null", scalar)
	}
	out := []byte{'['}
	for i, item := range items {
		v, err := coerced(scalar, string(item))
		if err != nil {
			return nil, fault.New(fault.Invalid, "at place %d of the list %s", i, err.(*fault.Error).Message)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']'), nil
}

func coerced(t, text string) (json.RawMessage, error) {
	quoted, isText := "", text != "" && text[0] == '"'
	if isText && json.Unmarshal([]byte(text), &quoted) != nil {
		isText = false
	}
	word := text
	if isText {
		word = quoted
	}
	switch t {
	case string(String):
		if isText {
			return appendJSONString(nil, quoted), nil
		}
	case TypeBytes:
		if _, err := base64.StdEncoding.DecodeString(quoted); isText && err == nil {
			return appendJSONString(nil, quoted), nil
		}
		return nil, fault.New(fault.Invalid, "want bytes, in base64")
	case TypeBool:
		if text == "true" || text == "false" {
			return json.RawMessage(text), nil
		}
	case TypeInt32, string(Int64):
		if n, ok := wholeOf(word); ok && (t == string(Int64) || n == int64(int32(n))) {
			return strconv.AppendInt(nil, n, 10), nil
		}
	case TypeFloat32, string(Float64):
		bits := 64
		if t == TypeFloat32 {
			bits = 32
		}
		if x, ok := floatOf(word, bits); ok {
			return AppendFloat(nil, x, bits), nil
		}
	case TypeTimestamp:
		n, ok := wholeOf(word)
		if millis, err := events.TimeMillis(quoted); !ok && isText && err == nil {
			n, ok = time.UnixMilli(millis).Unix(), true
		}
		if ok && n >= secondsMin && n <= secondsMax {
			return strconv.AppendInt(nil, n, 10), nil
		}
		return nil, fault.New(fault.Invalid, "want a time of the years 0 to 9999, as ISO 8601 or in whole seconds since 1970")
	}
	return nil, fault.New(fault.Invalid, "want a value of type %s", t)
}

// wholeOf reads a whole number, also one that a table without whole numbers gave a decimal point.
func wholeOf(word string) (int64, bool) {
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(word, 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) >= 1<<53 || strings.ContainsAny(word, "xXpP_") {
		return 0, false
	}
	return int64(x), true
}

func floatOf(word string, bits int) (float64, bool) {
	switch word {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	x, err := strconv.ParseFloat(word, bits)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || strings.ContainsAny(word, "xXpP_") {
		return 0, false
	}
	return x, true
}

// AppendFloat appends a float as Feast writes it: as one also where it is whole, since clients tell the type by it, and
// what is no number as text.
func AppendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(dst, `"-Infinity"`...)
	case x == math.Trunc(x) && math.Abs(x) < 1e16:
		return append(strconv.AppendFloat(dst, x, 'f', -1, bits), ".0"...)
	case x == math.Trunc(x):
		return strconv.AppendFloat(dst, x, 'e', -1, bits)
	}
	if a := math.Abs(x); a < 1e-6 || a >= 1e21 {
		return strconv.AppendFloat(dst, x, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, x, 'f', -1, bits)
}

// NobodysKey is the join key that Feast gives a view of no entity: there is one row of it.
const NobodysKey = "__dummy_id"

// EntityKey is the text that names one of whom a view's features are: its join keys with their values, such as
// "movie_id=42" or "movie_id=42&user_id=7", in the order of their names. value gives the JSON of a join key's value;
// "" as the result is nobody: where one of the values is null. The error is fault.Invalid and names the join key.
func (x *External) EntityKey(value func(joinKey string) json.RawMessage) (string, error) {
	keys := slices.Clone(x.JoinKeys)
	slices.SortFunc(keys, func(a, b events.FeatureField) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for i, k := range keys {
		id := ""
		if k.Name != NobodysKey {
			var err error
			if id, err = entityID(k, value(k.Name)); err != nil || id == "" {
				return "", err
			}
		}
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(keyEscaper.Replace(k.Name) + "=" + keyEscaper.Replace(id))
	}
	if b.Len() > events.EntityKeyBytesMax {
		return "", fault.Field(keys[0].Name, "the join keys have %d bytes; the most is %d", b.Len(), events.EntityKeyBytesMax)
	}
	return b.String(), nil
}

var keyEscaper = strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D")

// entityID is the value of a join key as text, in the one form that it has: 42, 42.0, and "42" name the same.
func entityID(k events.FeatureField, raw json.RawMessage) (string, error) {
	text := strings.TrimSpace(string(raw))
	if text == "" || text == "null" {
		return "", nil
	}
	if !utf8.ValidString(text) { // JSON would have the same in the place of several
		return "", fault.Field(k.Name, "must be valid UTF-8")
	}
	id := text
	if text[0] == '"' {
		if err := json.Unmarshal([]byte(text), &id); err != nil {
			return "", fault.Field(k.Name, "%v", err)
		}
	} else if c := text[0]; c != '-' && (c < '0' || c > '9') {
		return "", fault.Field(k.Name, "is %s; want an id, as a text or a whole number, or null", text)
	}
	if i := strings.IndexFunc(id, unicode.IsControl); i >= 0 { // which no entity key in the log holds
		r, _ := utf8.DecodeRuneInString(id[i:])
		return "", fault.Field(k.Name, "must not hold the control character %U", r).WithHint("leave it out: of no such id anything is known")
	}
	switch k.Name { // as everywhere else
	case "movie_id":
		id = events.CanonicalMovie(id)
	case "user_id":
		id = events.CanonicalUser(id)
	}
	if n, ok := wholeOf(id); ok && (text[0] != '"' || k.Type == string(Int64) || k.Type == TypeInt32) {
		id = strconv.FormatInt(n, 10)
	} else if k.Type == string(Int64) || k.Type == TypeInt32 || text[0] != '"' {
		return "", fault.Field(k.Name, "%q is no whole number", id).WithHint("the join key %s is of type %s", k.Name, k.Type)
	}
	return id, nil
}
