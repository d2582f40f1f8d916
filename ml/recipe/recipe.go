// Package recipe says what a model recipe is: a name, declared parameters, and how a model is trained,
// read, and ranks films beside the online model. A recipe is a folder beside this file and a line in
// recipe/all; no other package names an algorithm.
//
// # Law
//
// The same input, parameters and code give the same bytes, on any machine, whether or not training was
// interrupted and resumed: a version's weights can be made again from the log. So a recipe has no clock,
// and no randomness but what a parameter seeds.
package recipe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"

	"github.com/projectionist/projectionist/ml"
)

// Recipe is one way of making a model.
type Recipe struct {
	Name        string // under which its models are registered, and which their versions state
	Description string // of the registered model, a sentence
	// Code names the code that trains, "NAME/GENERATION": the generation is raised whenever a change makes
	// the same input and parameters give other bytes.
	Code   string
	Params []Param // its own; see [Recipe.Declared]
	// Predicts says that its models are [Predictor]s.
	Predicts bool
	// OfPeople says that its models rank for people that they have learned, and for nobody by what they have met.
	OfPeople bool
	// ONNX says that its models are [Graph]s.
	ONNX bool
	// Check says what is wrong with parameters that are each in range, as faults that name them; may be nil.
	Check func(Params) error
	// Train fits a model. Errors: parameters or samples it cannot work with, those of the hooks, ctx done.
	Train func(ctx context.Context, in Input, p Params, h Hooks) (Model, error)
	// Decode reads what [Model.Encode] wrote; anything else, weights that are not finite or do not fit
	// together among it, is an error.
	Decode func(b []byte) (Model, error)
	// Import reads a file of weights that were trained elsewhere; nil where there is no such form. user and movie give
	// the ids of this program's people and films for those of the file. Errors name what does not fit.
	Import func(file []byte, user, movie func(string) (string, error)) (Model, error)
}

// Hooks let a caller follow training and survive a crash in it. All are optional.
type Hooks struct {
	// Progress is told, after a step of a stage, how many are done and the loss then, NaN where there is
	// none. The last stage is [StageFit].
	Progress func(stage string, done, of int, loss float64)
	NoLoss   bool               // Progress wants no loss, which may cost a tenth of the training
	Sizes    func(sizes []Size) // is told, before the first step, what is trained and on how much
	// Save is called after a step with what makes a state to go on from, which may be large: it is made when it is wanted.
	// Its error ends training.
	Save   func(state func() ([]byte, error)) error
	Resume []byte // a state that was made by the same code, input and parameters
}

// Size is how many of something there are in a training.
type Size struct {
	Name string `json:"name"` // "people"
	N    int    `json:"n"`
	Note string `json:"note,omitempty"` // what else there is to know: "those with the most ratings, of 610"
}

// StageFit is the stage that fits the weights which are kept.
const StageFit = "fit"

// StageValidate is told, before StageFit of the same step, the loss on what is held out.
const StageValidate = "validation"

// Model is a trained version. It does not change, and may be used from several goroutines.
type Model interface {
	// Encode writes the model: the same one always to the same bytes, which a registry names by their hash.
	Encode() ([]byte, error)
	// Ranker prepares ranking the films. before, where not nil, ranks earlier films with the same model:
	// what has not changed may be taken from it.
	Ranker(films *Films, before Ranker) Ranker
	// Figures are what training has found out and a run logs, by name; nil without any.
	Figures() map[string]float64
}

// Counted is a [Model] whose scores have counts of the online model in them.
type Counted interface {
	Model
	// Uncounted is the same model without: for a blend, of which counts are a part by themselves.
	Uncounted() Model
}

// Predictor is a [Model] that also says what a person would rate films.
type Predictor interface {
	Model
	// Predict gives a rating in stars for each film, on the scale of what was trained on. Of a person or film that
	// the model has not learned it takes the mean one.
	Predict(user string, films []string) Prediction
	Neighbours
}

// Graph is a [Model] that others can run: as a graph of ONNX, which gives the numbers that the model gives.
type Graph interface {
	Model
	ONNX() (*ml.File, error)
}

// Neighbours is a [Model] that has learned which films are alike.
type Neighbours interface {
	// Near gives the k films most like one, by what the model has learned of them, most alike first; none for a film
	// it has not learned.
	Near(film string, k int) []Near
}

// Prediction is ratings by film, and whom and what the model has learned.
type Prediction struct {
	Ratings   []float32
	KnowsUser bool
	Knows     []bool // of films
}

// Near is a film and how much it is like another, at most 1.
type Near struct {
	ID    string
	Score float32
}

// CodeImported is what a version states as its code whose weights were trained elsewhere.
const CodeImported = "imported"

// CodeVersion is the code with the machine it runs on, as a version states it.
func (r *Recipe) CodeVersion() string {
	return fmt.Sprintf("%s %s %s", r.Code, runtime.GOARCH, ml.Kernel())
}

// SameCode says whether this program trains as the code that a version states did. The machine does not
// matter: all kernels give the same bits.
func (r *Recipe) SameCode(codeVersion string) bool {
	code, _, _ := strings.Cut(codeVersion, " ")
	return code == r.Code
}

// Trained is a model as it goes into the registry.
type Trained struct {
	Model  Model
	Bytes  []byte
	SHA256 string // of Bytes
}

// Make trains a model and writes it.
func (r *Recipe) Make(ctx context.Context, in Input, p Params, h Hooks) (*Trained, error) {
	m, err := r.Train(ctx, in, p, h)
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
