package ml_test

import (
	"context"
	"fmt"

	"github.com/projectionist/projectionist/ml"
)

// Two circles of people with tastes of their own; a newcomer has watched one film.
func ExampleTrainALS() {
	d := &ml.Dataset{
		Users: []string{"ann", "ben", "cid", "dot"},
		Items: []string{"heist", "noir", "romance", "waltz"},
		Samples: []ml.Sample{
			{User: 0, Item: 0, Time: 1, Weight: 1}, {User: 0, Item: 1, Time: 2, Weight: 1},
			{User: 1, Item: 0, Time: 3, Weight: 1}, {User: 1, Item: 1, Time: 4, Weight: 1},
			{User: 2, Item: 2, Time: 5, Weight: 1}, {User: 2, Item: 3, Time: 6, Weight: 1},
			{User: 3, Item: 2, Time: 7, Weight: 1}, {User: 3, Item: 3, Time: 8, Weight: 1},
		},
	}
	p := ml.DefaultALSParams()
	p.Dim = 4
	model, err := ml.TrainALS(context.Background(), d, p, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	watched := ml.NewBitset(len(d.Items))
	watched.Add(3)
	newcomer := model.FoldIn([]int32{3}, []float32{1})
	best := ml.TopK(newcomer, model.ItemFactors, p.Dim, 1, watched.Has)
	fmt.Println(d.Items[best[0].Index])
	// Output: romance
}
