package roles

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Models are the names of the models that this program makes: of every recipe, and the neural baseline.
func Models() []string {
	names := []string{runMLP}
	for _, r := range all.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// examples are the training set's rows with the ratings they led to. signals are those of the set's samples.
func (d *dataset) examples(signals []signal.Signal) (features [][]float32, ratings []float32) {
	features, ratings = make([][]float32, len(d.Rows)), make([]float32, len(d.Rows))
	for i, r := range d.Rows {
		features[i], ratings[i] = r.Values, float32(signals[r.Sample].Rating())
	}
	return features, ratings
}

// baselineParams are the neural baseline's parameters as its run states them.
func baselineParams(p ml.MLPParams) map[string]string {
	return map[string]string{"hidden": strconv.Itoa(p.Hidden), "batch": strconv.Itoa(p.Batch), "epochs": strconv.Itoa(p.Epochs),
		"learning_rate": strconv.FormatFloat(p.LearningRate, 'g', -1, 64), "validation_share": strconv.FormatFloat(p.ValidationShare, 'g', -1, 64),
		"seed": strconv.FormatUint(p.Seed, 10)}
}

// epochFigures are an epoch as a run logs it; a loss that is not finite is no metric.
func epochFigures(e ml.EpochReport) map[string]float64 {
	values := map[string]float64{"train_rows": float64(e.TrainRows), "validation_rows": float64(e.ValidationRows)}
	for name, loss := range map[string]float64{"train_loss": e.TrainLoss, "validation_loss": e.ValidationLoss} {
		if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
			values[name] = loss
		}
	}
	return values
}

// baselineErrors are the errors of the baseline's predictions in stars, nil without rows.
func baselineErrors(m *ml.MoviePredictor, features [][]float32, ratings []float32) map[string]float64 {
	if len(features) == 0 {
		return nil
	}
	var square, absolute, met float64
	for i, f := range features {
		e := float64(m.Predict(f) - ratings[i])
		square += float64(e * e)
		absolute += math.Abs(e)
		if math.Abs(e) <= metWithin {
			met++
		}
	}
	n := float64(len(features))
	return map[string]float64{"rmse": math.Sqrt(square / n), "mae": absolute / n, "accuracy": met / n}
}

// noViews are the feature views that recipes read: what they are given is what people did and what films are, and no feature.
var noViews = []events.ViewRead{}

// viewsOfBaseline are the feature views that the baseline is trained on: those with a number in them, as they are defined at a cut.
func (c *Config) viewsOfBaseline(ctx context.Context, cut string) ([]events.ViewRead, error) {
	at, err := streams.ParseCut(cut)
	if err != nil {
		return nil, err
	}
	inForce, _, err := projections.FoldDefinitions(c.Log.Ledger().ReadStream(ctx, "features/definitions", 0), fold.At{Cut: at})
	if err != nil {
		return nil, err
	}
	defs, err := features.Parse([]byte(inForce.Definitions))
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the feature definitions in force at %s", cut)
	}
	views := []events.ViewRead{}
	for _, v := range defs.Views {
		if slices.ContainsFunc(v.Features, func(f features.Feature) bool { return f.Type == features.Float64 || f.Type == features.Int64 }) {
			views = append(views, events.ViewRead{View: v.Name, Hash: v.Hash()})
		}
	}
	return views, nil
}
