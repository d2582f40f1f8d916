package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/recommend"
)

// inferBody is a request for inference as it comes.
type inferBody struct {
	ID         string                     `json:"id"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Inputs     []inferInput               `json:"inputs"`
	Outputs    []inferOutput              `json:"outputs"`
}

type inferInput struct {
	Name       string                     `json:"name"`
	Shape      []uint64                   `json:"shape"`
	Datatype   string                     `json:"datatype"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Data       json.RawMessage            `json:"data"`
}

type inferOutput struct {
	Name       string                     `json:"name"`
	Parameters map[string]json.RawMessage `json:"parameters"`
}

// inference is such a request, read.
type inference struct {
	id            string
	users, movies []string // as many as there are pairs, or one of users for all movies
	outputs       []string
	k             int
	excludeSeen   bool
	record        bool
	rules         events.ListRules
}

func (q *inference) wants(output string) bool { return slices.Contains(q.outputs, output) }

// pairs are what ratings are wanted of.
func (q *inference) pairs() []recommend.Pair {
	pairs := make([]recommend.Pair, len(q.movies))
	for i, m := range q.movies {
		pairs[i] = recommend.Pair{User: q.users[min(i, len(q.users)-1)], Film: m}
	}
	return pairs
}

// Bounds of what the protocol has names for.
const (
	inferIDBytesMax = 1024
	tensorsMax      = 16 // more than there are, so that each is told of that there is not
)

// binaryHeader says of a body that tensors in binary come behind its JSON.
const binaryHeader = "Inference-Header-Content-Length"

func noBinary(field string) error {
	return fault.Field(field, "asks for the binary tensor data extension, which is not served here").
		WithHint("give and ask for data in JSON (of tritonclient: binary_data=False)")
}

// readInfer reads a request of a version, of which it takes and gives what its signature says.
func readInfer(w http.ResponseWriter, r *http.Request, v *served) (*inference, error) {
	if r.Header.Get(binaryHeader) != "" {
		return nil, noBinary(binaryHeader)
	}
	var b inferBody
	if err := api.ReadJSON(w, r, &b, false); err != nil {
		return nil, err
	}
	q := &inference{id: b.ID, k: kDefault, excludeSeen: true, record: true}
	switch {
	case len(b.ID) > inferIDBytesMax:
		return nil, fault.Field("id", "has %d bytes; want at most %d", len(b.ID), inferIDBytesMax)
	case len(b.Inputs) == 0:
		return nil, fault.Field("inputs", "are missing: want the tensor %s", tensorUser)
	case len(b.Inputs) > tensorsMax || len(b.Outputs) > tensorsMax:
		return nil, fault.Field("inputs", "are %d, and outputs %d; want at most %d", len(b.Inputs), len(b.Outputs), tensorsMax)
	}
	takes, gives := v.signature()
	for i := range b.Inputs {
		if err := q.input(&b.Inputs[i], takes, v); err != nil {
			return nil, err
		}
	}
	if q.users == nil {
		return nil, fault.Field("inputs", "have no tensor %s", tensorUser)
	}
	for _, o := range b.Outputs {
		if err := q.output(&o, gives, v); err != nil {
			return nil, err
		}
	}
	switch {
	case len(b.Outputs) > 0:
	case q.movies != nil:
		q.outputs = []string{tensorRating}
	default:
		q.outputs = []string{tensorListed, tensorScore}
	}
	lists := q.wants(tensorListed) || q.wants(tensorScore)
	switch {
	case q.wants(tensorRating) && q.movies == nil:
		return nil, fault.Field("outputs."+tensorRating, "is of a person and a film: the input %s is missing", tensorMovie)
	case q.wants(tensorRating) && len(q.users) != len(q.movies) && len(q.users) != 1:
		return nil, fault.Field("inputs."+tensorUser, "has the shape [%d], and %s the shape [%d]; want the same, or [1]", len(q.users), tensorMovie, len(q.movies))
	case lists && len(q.users) > peopleMax:
		return nil, fault.Field("inputs."+tensorUser, "has the shape [%d]; want at most [%d] for lists", len(q.users), peopleMax)
	case !q.wants(tensorRating) && q.movies != nil:
		return nil, fault.Field("inputs."+tensorMovie, "is given, and no output wants it").WithHint("leave it out, or ask for %s", tensorRating)
	}
	if err := q.parameters(b.Parameters, lists); err != nil {
		return nil, err
	}
	return q, nil
}

// input reads a tensor of ids.
func (q *inference) input(in *inferInput, takes []tensorMeta, v *served) error {
	at := "inputs." + api.Short(in.Name)
	if !slices.ContainsFunc(takes, func(t tensorMeta) bool { return t.Name == in.Name }) {
		return fault.Field(at, "is no input of %s version %d; want %s", v.Model, v.Number, namesOf(takes))
	}
	if _, binary := in.Parameters["binary_data_size"]; binary {
		return noBinary(at + ".parameters.binary_data_size")
	}
	if names := slices.Sorted(maps.Keys(in.Parameters)); len(names) > 0 {
		return fault.Field(at+".parameters."+api.Short(names[0]), "is not a parameter of an input; it takes none")
	}
	into, canonical := &q.users, events.CanonicalUser
	if in.Name == tensorMovie {
		into, canonical = &q.movies, func(id string) string { return id }
	}
	switch {
	case *into != nil:
		return fault.Field(at, "is given twice")
	case in.Datatype != typeBytes:
		return fault.Field(at+".datatype", "is %q; want %s, ids as text", api.Short(in.Datatype), typeBytes)
	case len(in.Shape) != 1:
		return fault.Field(at+".shape", "has %d dimensions; want one, [n]", len(in.Shape))
	case in.Shape[0] < 1 || in.Shape[0] > pairsMax:
		return fault.Field(at+".shape", "is [%d]; want [1] to [%d]", in.Shape[0], pairsMax)
	case len(in.Data) == 0 || bytes.Equal(in.Data, []byte("null")):
		return fault.Field(at+".data", "is missing")
	}
	var data []any
	if err := json.Unmarshal(in.Data, &data); err != nil {
		return fault.Field(at+".data", "must be an array of strings")
	}
	if uint64(len(data)) != in.Shape[0] {
		return fault.Field(at+".data", "has %d values; its shape [%d] wants %d", len(data), in.Shape[0], in.Shape[0])
	}
	ids := make([]string, len(data))
	for i, one := range data {
		id, ok := one.(string)
		switch {
		case !ok:
			return fault.Field(fmt.Sprintf("%s.data[%d]", at, i), "must be a string")
		case id == "" || len(id) > events.IDBytesMax || strings.IndexFunc(id, unicode.IsControl) >= 0:
			return fault.Field(fmt.Sprintf("%s.data[%d]", at, i), "must be 1 to %d bytes without control characters", events.IDBytesMax)
		}
		ids[i] = canonical(id)
	}
	*into = ids
	return nil
}

// output notes a tensor that is asked for.
func (q *inference) output(o *inferOutput, gives []tensorMeta, v *served) error {
	at := "outputs." + api.Short(o.Name)
	switch {
	case !slices.ContainsFunc(gives, func(t tensorMeta) bool { return t.Name == o.Name }):
		return fault.Field(at, "is no output of %s version %d; want %s", v.Model, v.Number, namesOf(gives))
	case q.wants(o.Name):
		return fault.Field(at, "is asked for twice")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parameters)) {
		if name != "binary_data" {
			return fault.Field(at+".parameters."+api.Short(name), "is not a parameter of an output; it takes binary_data, false")
		}
		if string(o.Parameters[name]) != "false" {
			return noBinary(at + ".parameters." + name)
		}
	}
	q.outputs = append(q.outputs, o.Name)
	return nil
}

// parameters reads what lists are to be like.
func (q *inference) parameters(given map[string]json.RawMessage, lists bool) error {
	flags := map[string]*bool{"exclude_seen": &q.excludeSeen, "record": &q.record}
	var rules api.Rules
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value, at := given[name], "parameters."+api.Short(name)
		flag, isFlag := flags[name]
		isRule, wrong := readRule(&rules, name, at, value)
		switch {
		case name == "binary_data_output":
			if string(value) != "false" {
				return noBinary(at)
			}
			continue
		case name != "k" && !isFlag && !isRule:
			return fault.Field(at, "is not a parameter of this request; it takes k, exclude_seen, record, exclude, genre, year_from, year_to, language, diversity, fresh, offset")
		case !lists:
			return fault.Field(at, "is of lists, and none is asked for").WithHint("leave it out, or ask for the output %s", tensorListed)
		case isRule:
			if wrong != nil {
				return wrong
			}
		case isFlag:
			if err := json.Unmarshal(value, flag); err != nil || string(value) == "null" {
				return fault.Field(at, "must be true or false")
			}
		default:
			if err := json.Unmarshal(value, &q.k); err != nil || string(value) == "null" {
				return fault.Field(at, "must be a whole number")
			}
		}
	}
	if most := min(recommend.KMax, itemsMax/len(q.users)); lists && (q.k < 1 || q.k > most) {
		return fault.Field("parameters.k", "is %d; want 1 to %d for %d people", q.k, most, len(q.users))
	}
	if !lists {
		return nil
	}
	var err error
	q.rules, err = rules.Of(q.k)
	for _, f := range faultsOf(errors.Join(err, bounded(q.rules, len(q.users), q.k))) {
		f.Field = "parameters." + f.Field
		return f
	}
	return nil
}

func namesOf(list []tensorMeta) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
