package all

import (
	"cmp"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Formats of files that a version's weights are written in for others.
const (
	Safetensors = "safetensors" // the tensors of any model, by name
	ONNX        = "onnx"        // a graph that runs, of a recipe that says so, or the neural baseline
)

// FormatOf is the format that a file's name says.
func FormatOf(file string) string {
	if strings.HasSuffix(strings.ToLower(file), "."+ONNX) {
		return ONNX
	}
	return Safetensors
}

// Export makes a file of a version's weights. Errors: fault.Invalid for a format there is not, fault.Conflict for an
// algorithm that has no form in it, fault.Corrupt for weights that are none.
func Export(algorithm string, weights []byte, format string) (*ml.File, error) {
	damaged := func(err error) error { return fault.Wrap(fault.Corrupt, err, "the weights are damaged") }
	switch format {
	case Safetensors:
		a, err := ml.DecodeArtifact(weights)
		if err != nil {
			return nil, damaged(err)
		}
		f, err := a.Safetensors()
		if err != nil {
			return nil, err
		}
		return f.File()
	case ONNX:
		r, err := Find(algorithm)
		if err != nil { // the neural baseline is no recipe
			a, err := ml.DecodeArtifact(weights)
			if err != nil {
				return nil, damaged(err)
			}
			if m, err := ml.MoviePredictorFromArtifact(a); err == nil {
				return m.ONNX()
			}
		}
		if err != nil || !r.ONNX {
			return nil, fault.New(fault.Conflict, "a model of %s is no graph of ONNX; those of %s are", cmp.Or(algorithm, Default().Name), strings.Join(Graphs(), ", ")).
				WithHint("its tensors can be had as %s", Safetensors)
		}
		m, err := r.Decode(weights)
		if err != nil {
			return nil, damaged(err)
		}
		g, ok := m.(recipe.Graph)
		if !ok {
			return nil, fault.New(fault.Internal, "a recipe whose models are graphs, %s, has made one that is none", r.Name)
		}
		return g.ONNX()
	}
	return nil, fault.Field("format", "is %.60q; want %s or %s", format, Safetensors, ONNX)
}

// Graphs are the names of the recipes whose models are graphs.
func Graphs() (names []string) {
	for _, r := range recipes {
		if r.ONNX {
			names = append(names, r.Name)
		}
	}
	return names
}
