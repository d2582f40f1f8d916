package ml

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// fitState is a training that goes on step by step, as a checkpoint has it: by what parameters, on what, how many steps
// are done, and its numbers, which a checkpoint is read back into.
type fitState struct {
	kind   string
	params any // as JSON tells them apart; how many steps there are to be is none of them
	data   string
	done   *int
	values map[string]float64 // single numbers
	state  []Tensor
}

type fitHeader struct {
	Params json.RawMessage    `json:"params"`
	Data   string             `json:"data"`
	Done   int                `json:"done"`
	Values map[string]float64 `json:"values"`
}

func (f *fitState) checkpoint() ([]byte, error) {
	params, err := json.Marshal(f.params)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(fitHeader{params, f.data, *f.done, f.values})
	if err != nil {
		return nil, err
	}
	return (&Artifact{Kind: f.kind, Kernel: Kernel(), Params: header, Tensors: f.state}).Encode()
}

// restore reads a checkpoint of the same training into f. Errors: one that is damaged or of another.
func (f *fitState) restore(checkpoint []byte) error {
	a, err := DecodeArtifact(checkpoint)
	if err != nil {
		return err
	}
	if a.Kind != f.kind {
		return fmt.Errorf("ml: this is an artifact of kind %q: give a %s", a.Kind, f.kind)
	}
	var h fitHeader
	if err := json.Unmarshal(a.Params, &h); err != nil {
		return fmt.Errorf("ml: checkpoint: %w", err)
	}
	params, err := json.Marshal(f.params)
	if err != nil {
		return err
	}
	switch {
	case string(h.Params) != string(params):
		return fmt.Errorf("ml: the checkpoint is of parameters %s, this training of %s: start anew", h.Params, params)
	case h.Data != f.data:
		return errors.New("ml: the checkpoint is of other samples: start anew")
	case h.Done < 0:
		return fmt.Errorf("ml: the checkpoint claims %d steps: start anew", h.Done)
	}
	from := make([][]float32, len(f.state))
	for i, to := range f.state {
		if from[i], err = a.Tensor(to.Name, to.Shape...); err != nil {
			return err
		}
	}
	for i, to := range f.state {
		copy(to.Data, from[i])
	}
	for name := range f.values {
		f.values[name] = h.Values[name]
	}
	*f.done = h.Done
	return nil
}

// dataHash names users, items and what is between them.
func dataHash(users, items []string, ratings []Rating) string {
	h := sha256.New()
	hashStrings(h, users)
	hashStrings(h, items)
	var buf []byte
	for _, r := range ratings {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(r.User))
		buf = binary.LittleEndian.AppendUint32(buf, uint32(r.Item))
		if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(r.Stars)); len(buf) > 1<<16 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}

// flat is a tensor of one dimension.
func flat(name string, data []float32) Tensor { return Tensor{name, []int{len(data)}, data} }

// exp is eˣ by arithmetic alone: math.Exp differs between machines in the last bit.
func exp(x float64) float64 {
	const (
		ln2hi = 6.93147180369123816490e-01
		ln2lo = 1.90821492927058770002e-10
	)
	if !(x > -700) {
		return 0
	}
	if x > 700 {
		return math.MaxFloat64
	}
	k := math.Floor(float64(x/math.Ln2) + .5)
	r := float64(x-float64(k*ln2hi)) - float64(k*ln2lo)
	sum := 1.
	for n := 14.; n >= 1; n-- {
		sum = 1 + float64(float64(r*sum)/n)
	}
	return math.Ldexp(sum, int(k))
}

// sigmoid is 1/(1+e⁻ˣ).
func sigmoid(x float64) float64 { return 1 / (1 + exp(-x)) }
