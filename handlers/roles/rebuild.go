package roles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// Rebuild trains again what a registered version states, from the log alone: a recipe's model, or the neural baseline, whose rows are
// joined again first. progress may be nil. Errors are those of [trainset.Rebuild].
func Rebuild(ctx context.Context, log streams.Log, v *events.ModelVersionRegistered, progress func(stage string, done, of int64)) (weights []byte, sha string, err error) {
	if v.Algorithm != runMLP || v.Blob == "" {
		trained, err := trainset.Rebuild(ctx, log, v, progress)
		if err != nil {
			return nil, "", err
		}
		return trained.Bytes, trained.SHA256, nil
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if code, _, _ := strings.Cut(v.CodeVersion, " "); code != mlpCode {
		return nil, "", fault.New(fault.Conflict, "the version was trained by code %q, this program is %q", v.CodeVersion, mlpCode).
			WithHint("run the release that trained it")
	}
	cut, err := streams.ParseCut(v.DatasetCut)
	if err != nil {
		return nil, "", fault.Wrap(fault.Corrupt, err, "the version's data set")
	}
	p, err := mlpParams(v.Params)
	if err != nil {
		return nil, "", fault.Wrap(fault.Corrupt, err, "the version's parameters")
	}
	set, err := new(trainset.Cache).LoadActs(ctx, log, cut, func(done, total int64) { progress("read the log", done, total) })
	if err != nil {
		return nil, "", err
	}
	d := newDataset(set)
	if err := (reader{&Config{Log: log}, progress}).join(ctx, set, d); err != nil {
		return nil, "", err
	}
	examples, ratings := d.examples(set.Signals)
	m, err := ml.TrainMoviePredictor(ctx, examples, ratings, p, func(e ml.EpochReport) { progress("neural baseline", int64(e.Epoch), int64(e.Of)) })
	if err != nil {
		return nil, "", err
	}
	weights, err = encodeBaseline(m, d)
	sum := sha256.Sum256(weights)
	return weights, hex.EncodeToString(sum[:]), err
}

// encodeBaseline is the neural baseline as it goes into the registry, with the hash of the definitions of its features.
func encodeBaseline(m *ml.MoviePredictor, d *dataset) ([]byte, error) {
	a, err := m.Artifact()
	if err != nil {
		return nil, err
	}
	a.FeatureHash = d.FeaturesHash
	return a.Encode()
}
