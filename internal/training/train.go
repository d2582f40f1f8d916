package training

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"sort"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/hybrid"
	"github.com/projectionist/projectionist/streams"
)

// Algorithm is the name under which versions of the hybrid model are registered.
const Algorithm = "als"

// codeGeneration is raised whenever a change makes the same data, parameters and seed give other bytes.
const codeGeneration = 2

// CodeVersion states the code that trains: versions it made can be made again by the same.
func CodeVersion() string {
	return fmt.Sprintf("hybrid-ials/%d %s %s", codeGeneration, runtime.GOARCH, ml.Kernel())
}

// SameCode says whether this program trains as the code that a version states did. The kernel does not
// matter: all give the same bits.
func SameCode(codeVersion string) bool {
	was, _, _ := strings.Cut(codeVersion, " ")
	now, _, _ := strings.Cut(CodeVersion(), " ")
	return was == now
}

// input is the snapshot as training takes it.
func (s *Snapshot) input() hybrid.Input {
	return hybrid.Input{Data: s.Data, Signals: s.Signals, FeaturesHash: s.FeaturesHash,
		Content: func(id string) hybrid.Content {
			m := s.Movies[id]
			return hybrid.Content{Genres: m.Genres, Year: m.Year}
		}}
}

// Trained is a model as it goes into the registry.
type Trained struct {
	Model  *hybrid.Model
	Bytes  []byte
	SHA256 string
}

// Train fits a model to the snapshot.
func (s *Snapshot) Train(ctx context.Context, p hybrid.Params, h hybrid.Hooks) (*Trained, error) {
	m, err := hybrid.Train(ctx, s.input(), p, h)
	if err != nil {
		return nil, err
	}
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return &Trained{m, b, hex.EncodeToString(sum[:])}, nil
}

// Evaluate judges the recipe on the snapshot; see [hybrid.Evaluate].
func (s *Snapshot) Evaluate(ctx context.Context, p hybrid.Params, h hybrid.Hooks) (*hybrid.Report, error) {
	return hybrid.Evaluate(ctx, s.input(), p, h)
}

// Rebuild trains again what a registered version states, from the log alone.
func Rebuild(ctx context.Context, log streams.Log, codeVersion, datasetCut string, params map[string]string,
	progress func(stage string, done, of int64)) (*Trained, error) {
	if !SameCode(codeVersion) {
		return nil, fault.New(fault.Conflict, "the version was trained by code %q, this program is %q", codeVersion, CodeVersion()).
			WithHint("run the release that trained it")
	}
	cut, err := streams.ParseCut(datasetCut)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the version's data set")
	}
	p, err := ParamsFromMap(params)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the version's parameters")
	}
	snap, err := Load(ctx, log, cut, func(done, total int64) { progress("read the log", done, total) })
	if err != nil {
		return nil, err
	}
	return snap.Train(ctx, p, hybrid.Hooks{Progress: func(stage string, done, of int, _ float64) {
		progress(stage, int64(done), int64(of))
	}})
}

// ParamsToMap writes parameters as a run logs them: "als.dim" -> "64".
func ParamsToMap(p hybrid.Params) (map[string]string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		if m, ok := v.(map[string]any); ok {
			for k, x := range m {
				walk(prefix+"."+k, x)
			}
			return
		}
		flat[prefix[1:]] = fmt.Sprint(v)
	}
	walk("", tree)
	return flat, nil
}

// ParamsFromMap reads parameters as ParamsToMap writes them; what is absent keeps its default, and a name
// or value that is none of training's is an error.
func ParamsFromMap(flat map[string]string) (hybrid.Params, error) {
	p := hybrid.DefaultParams()
	known, err := ParamsToMap(p)
	if err != nil {
		return p, err
	}
	names := make([]string, 0, len(flat))
	for name := range flat {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, ok := known[name]; !ok {
			all := make([]string, 0, len(known))
			for k := range known {
				all = append(all, k)
			}
			sort.Strings(all)
			return p, fault.Field(name, "is no parameter of training; want one of %s", strings.Join(all, ", "))
		}
		value := []byte(flat[name])
		if !json.Valid(value) {
			value, _ = json.Marshal(flat[name])
		}
		parts := strings.Split(name, ".")
		doc := value
		for i := len(parts) - 1; i >= 0; i-- {
			doc = fmt.Appendf(nil, "{%q:%s}", parts[i], doc)
		}
		if err := json.Unmarshal(doc, &p); err != nil {
			return p, fault.Field(name, "%q does not fit the parameter: %v", flat[name], err)
		}
	}
	if err := p.Validate(); err != nil {
		return p, fault.Wrap(fault.Invalid, err, "parameters of training")
	}
	return p, nil
}
