package neuralcf

import (
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// model is a trained version.
type model struct {
	*ml.NeuralCF
	featuresHash string
}

var _ recipe.Predictor = (*model)(nil)

func (m *model) Encode() ([]byte, error) {
	a, err := m.Artifact()
	if err != nil {
		return nil, err
	}
	a.FeatureHash = m.featuresHash
	return a.Encode()
}

// Figures are the number of parameters and, where ratings were held out, the errors on them in stars.
func (m *model) Figures() map[string]float64 {
	f := map[string]float64{"parameters": float64(m.Parameters())}
	if i := m.Info; i.ValidationRows > 0 && i.Epoch > 0 {
		f["rmse"], f["mae"], f["epoch"] = i.RMSE, i.MAE, float64(i.Epoch)
	}
	return f
}

func (m *model) Predict(user string, films []string) recipe.Prediction {
	p := recipe.Prediction{Ratings: make([]float32, len(films)), KnowsUser: m.KnowsUser(user), Knows: make([]bool, len(films))}
	rows := make([]int32, len(films))
	for i, id := range films {
		row, ok := m.MovieRow(id)
		rows[i], p.Knows[i] = int32(row), ok
	}
	m.NeuralCF.Predict(p.Ratings, user, rows)
	for i, v := range p.Ratings {
		p.Ratings[i] = m.Cut(v)
	}
	return p
}

func (m *model) Near(film string, k int) []recipe.Near {
	var near []recipe.Near
	for _, top := range m.NeuralCF.Near(film, k) {
		near = append(near, recipe.Near{ID: m.Movies[top.Index], Score: top.Score})
	}
	return near
}

// Ranker finds each film's row.
func (m *model) Ranker(films *recipe.Films, _ recipe.Ranker) recipe.Ranker {
	r := &ranker{model: m, films: films, rows: make([]int32, films.Len())}
	r.scores.New = func() any { return &[]float32{} }
	for i := range r.rows {
		row, _ := m.MovieRow(films.At(i).ID)
		r.rows[i] = int32(row)
	}
	return r
}

// ranker ranks by the rating that is predicted, not cut to the scale: films at its end would be equal.
type ranker struct {
	model  *model
	films  *recipe.Films
	rows   []int32   // by place
	scores sync.Pool // of *[]float32, by place
}

func (r *ranker) Films() *recipe.Films { return r.films }

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	out := recipe.Ranking{Strategy: name}
	r.score(m, q.User, q.NowMillis, q.Again, func(score []float32) {
		for _, top := range q.Best(score) {
			it := recipe.Item{Place: int(top.Index), Score: top.Score}
			if top.Score != 0 {
				it.Parts = []recipe.Part{{Source: name, Score: top.Score}}
			}
			out.Items = append(out.Items, it)
		}
	})
	return out
}

func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	r.score(m, user, nowMillis, false, func(score []float32) { f("", score) })
}

// score is of what the person has not met, or with again of all.
func (r *ranker) score(m *online.Model, user string, nowMillis int64, again bool, f func([]float32)) {
	buffer := r.scores.Get().(*[]float32)
	defer r.scores.Put(buffer)
	score := recipe.Grow(*buffer, len(r.rows))
	*buffer = score
	r.model.NeuralCF.Predict(score, user, r.rows)
	if !again {
		recipe.Exclude(score, m, r.films, user, nowMillis)
	}
	f(score)
}
