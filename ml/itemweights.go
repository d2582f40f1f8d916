package ml

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// ItemWeights says how much having met one item speaks for another: a sparse matrix of items by items. Row i has, of the
// items that i speaks for or against, the index (ascending) and the weight.
type ItemWeights struct {
	Start  []int // row i is Start[i]..Start[i+1] of the others
	Items  []int32
	Weight []float32
}

// Rows is the number of items.
func (w *ItemWeights) Rows() int { return len(w.Start) - 1 }

// Row is what item i speaks for.
func (w *ItemWeights) Row(i int32) ([]int32, []float32) {
	a, b := w.Start[i], w.Start[i+1]
	return w.Items[a:b], w.Weight[a:b]
}

// weightsOf puts rows together; a row that is nil is empty.
func weightsOf(rows [][]Scored) *ItemWeights {
	w := &ItemWeights{Start: make([]int, len(rows)+1)}
	for i, row := range rows {
		w.Start[i+1] = w.Start[i] + len(row)
	}
	w.Items, w.Weight = make([]int32, 0, w.Start[len(rows)]), make([]float32, 0, w.Start[len(rows)])
	for _, row := range rows {
		for _, e := range row {
			w.Items, w.Weight = append(w.Items, e.Index), append(w.Weight, e.Score)
		}
	}
	return w
}

// strongest are the keep values furthest from 0 of a row but at place self, by their item, ascending.
func strongest(values []float32, self, keep int, item []int32) []Scored {
	size := make([]float32, len(values))
	for j, v := range values {
		size[j] = max(v, -v)
	}
	list := TopKScores(size, keep, func(j int32) bool { return int(j) == self || values[j] == 0 })
	for i := range list {
		list[i] = Scored{item[list[i].Index], values[list[i].Index]}
	}
	slices.SortFunc(list, func(a, b Scored) int { return cmp.Compare(a.Index, b.Index) })
	return list
}

// mostMet are the n items with a positive of the most users, ascending, of equal ones the lower index; and the place of
// each item among them, or -1.
func mostMet(byItem *csr, n int) (items, place []int32) {
	met := func(i int32) int { return byItem.start[i+1] - byItem.start[i] }
	place = make([]int32, byItem.rows())
	for i := range int32(byItem.rows()) {
		place[i] = -1
		if met(i) > 0 {
			items = append(items, i)
		}
	}
	if len(items) > n {
		slices.SortFunc(items, func(a, b int32) int { return cmp.Or(cmp.Compare(met(b), met(a)), cmp.Compare(a, b)) })
		items = slices.Clip(items[:n])
		slices.Sort(items)
	}
	for at, i := range items {
		place[i] = int32(at)
	}
	return items, place
}

// DenseMax is the most items that [TrainEASE] and [TrainNextItem] take: a matrix of 20,000 by 20,000 has 1.6 GB.
const DenseMax = 20_000

// EASEParams are the parameters of [TrainEASE].
type EASEParams struct {
	Lambda float64 // ridge penalty, above 0
	Items  int     // at most, those with the most positives; to DenseMax
	Keep   int     // weights of an item that are kept, those furthest from 0
}

// LinearInfo is what a fit of [TrainEASE] or [TrainNextItem] found.
type LinearInfo struct {
	Items int     `json:"items"` // in the matrix
	OfAll int     `json:"of"`    // that have a positive
	Loss  float64 `json:"loss"`  // least penalised sum of squares, per row of the regression
	Rows  int     `json:"rows"`  // of the regression
}

// LinearHooks let a caller follow a fit; both may be nil.
type LinearHooks struct {
	Begin    func(LinearInfo)   // is told, before the first step, what is fitted
	Progress func(done, of int) // is told how many items are done
}

func (h *LinearHooks) begin(info LinearInfo) {
	if h.Begin != nil {
		h.Begin(info)
	}
}

// TrainEASE fits the linear model in which every item is explained by all others (Steck 2019, "Embarrassingly Shallow
// Autoencoders for Sparse Data", arXiv 1905.03375), in closed form, on whether users have a positive for items. It takes
// 4·n² bytes for n items and n³ multiplications on all cores.
func TrainEASE(ctx context.Context, d *Dataset, p EASEParams, h LinearHooks) (*ItemWeights, LinearInfo, error) {
	if err := checkDense(d, p.Lambda, p.Items, p.Keep); err != nil {
		return nil, LinearInfo{}, err
	}
	byUser, err := positives(d)
	if err != nil {
		return nil, LinearInfo{}, err
	}
	byItem := byUser.transpose(len(d.Items))
	items, place := mostMet(byItem, p.Items)
	n, s := len(items), wide(len(items))
	info := LinearInfo{Items: n, OfAll: met(byItem), Rows: len(d.Users)}
	h.begin(info)
	a := make([]float32, n*s)
	err = parallel(ctx, workerCount(), n, 16, func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			row := a[r*s : (r+1)*s]
			users, _ := byItem.row(int(items[r]))
			for _, u := range users {
				others, _ := byUser.row(int(u))
				at, _ := slices.BinarySearch(others, items[r])
				for _, j := range others[at:] {
					if c := place[j]; c >= 0 {
						row[c]++
					}
				}
			}
			row[r] += float32(p.Lambda)
		}
	})
	if err != nil {
		return nil, info, err
	}
	if err := invertSPD(ctx, a, n, h.Progress); err != nil {
		return nil, info, raised(err, p.Lambda)
	}
	scale := make([]float32, n)
	for j := range n {
		scale[j] = -1 / a[j*s+j]
		info.Loss += float64(-scale[j]) - p.Lambda
	}
	info.Loss /= float64(max(1, info.Rows))
	rows := make([][]Scored, len(d.Items))
	err = parallel(ctx, workerCount(), n, 16, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := a[i*s : i*s+n]
			for j := range row {
				row[j] *= scale[j]
			}
			rows[items[i]] = strongest(row, i, p.Keep, items)
		}
	})
	return weightsOf(rows), info, err
}

// met is how many items have a positive.
func met(byItem *csr) (n int) {
	for i := range byItem.rows() {
		if byItem.start[i+1] > byItem.start[i] {
			n++
		}
	}
	return n
}

// indexMax is how many items an index that is written as a float32 tells apart.
const indexMax = 1 << 24

func checkDense(d *Dataset, lambda float64, items, keep int) error {
	switch {
	case len(d.Items) > indexMax:
		return fmt.Errorf("ml: %d items: weights from item to item are stored of %d at most", len(d.Items), indexMax)
	case !(lambda > 0) || float32(lambda) == 0 || !finite(float32(lambda)):
		return fmt.Errorf("ml: the ridge penalty is %v: give a number above 0", lambda)
	case items < 1 || items > DenseMax:
		return fmt.Errorf("ml: a dense matrix of %d items: give 1 to %d", items, DenseMax)
	case keep < 1:
		return fmt.Errorf("ml: %d weights are kept of an item: give 1 or more", keep)
	}
	return nil
}

// raised says what helps where a matrix could not be inverted.
func raised(err error, lambda float64) error {
	if err == errNotPositive {
		return fmt.Errorf("%w: raise the ridge penalty (%v)", err, lambda)
	}
	return err
}

// NextItemParams are the parameters of [TrainNextItem].
type NextItemParams struct {
	Lambda float64 // ridge penalty, above 0
	Decay  float64 // what an item weighs beside the one met after it, above 0, at most 1
	Window int     // items before the next that are looked at
	Items  int     // at most, those with the most positives; to DenseMax
	Keep   int     // weights of an item that are kept, those furthest from 0
}

// TrainNextItem fits the ridge regression of the next item that a user likes on those before it, each weighing Decay
// times what came after it. An item that is liked again counts at its first time. It takes 8·n² bytes for n items and
// 2·n³ multiplications on all cores.
func TrainNextItem(ctx context.Context, d *Dataset, p NextItemParams, h LinearHooks) (*ItemWeights, LinearInfo, error) {
	if err := checkDense(d, p.Lambda, p.Items, p.Keep); err != nil {
		return nil, LinearInfo{}, err
	}
	if !(p.Decay > 0 && p.Decay <= 1) || p.Window < 1 {
		return nil, LinearInfo{}, fmt.Errorf("ml: the decay is %v over %d items: give above 0, at most 1, and 1 item or more", p.Decay, p.Window)
	}
	byUser, err := positives(d)
	if err != nil {
		return nil, LinearInfo{}, err
	}
	byItem := byUser.transpose(len(d.Items))
	items, place := mostMet(byItem, p.Items)
	n, s := len(items), wide(len(items))
	info := LinearInfo{Items: n, OfAll: met(byItem)}
	sequences, at := sequencesOf(d, byUser, byItem, place)
	for _, q := range sequences {
		info.Rows += max(0, len(q)-1)
	}
	h.begin(info)
	powers, sums := make([]float64, p.Window+1), make([]float64, p.Window+1) // Decayᵏ, and Σ Decay²ᵐ over m < k
	for k := range powers {
		if powers[k] = 1; k > 0 {
			powers[k] = float64(powers[k-1] * p.Decay)
			sums[k] = sums[k-1] + float64(powers[k-1]*powers[k-1])
		}
	}
	a, c := make([]float32, n*s), make([]float32, n*s) // XᵀX, upper triangle; XᵀY
	err = parallel(ctx, workerCount(), n, 16, func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			before, next := a[r*s:(r+1)*s], c[r*s:(r+1)*s]
			users, _ := byItem.row(int(items[r]))
			for k, u := range users {
				q := sequences[u]
				mine := int(at[byItem.start[items[r]]+k])
				for other := max(0, mine-p.Window+1); other < min(len(q), mine+p.Window); other++ {
					j := q[other]
					first, last := min(mine, other), max(mine, other)
					// Both stand before the next item at the places last+1 to first+Window.
					if times := min(first+p.Window, len(q)-1) - last; times > 0 && int(j) >= r {
						before[j] += float32(powers[last-first] * sums[times])
					}
				}
				for t := mine + 1; t <= min(mine+p.Window, len(q)-1); t++ {
					next[q[t]] += float32(powers[t-1-mine])
				}
			}
			before[r] += float32(p.Lambda)
		}
	})
	if err != nil {
		return nil, info, err
	}
	if err := invertSPD(ctx, a, n, h.Progress); err != nil {
		return nil, info, raised(err, p.Lambda)
	}
	rows, explained := make([][]Scored, len(d.Items)), make([]float64, n)
	err = multiplyRows(ctx, a, c, n, func(i int, values []float32) {
		for j, v := range values {
			explained[i] += float64(float64(v) * float64(c[i*s+j]))
		}
		rows[items[i]] = strongest(values, i, p.Keep, items)
	})
	info.Loss = float64(info.Rows)
	for _, e := range explained {
		info.Loss -= e
	}
	info.Loss /= float64(max(1, info.Rows))
	return weightsOf(rows), info, err
}

// sequencesOf gives, for each user, the places of the items they have a positive for, each once, in the order of time;
// and for each entry of byItem where it stands in its user's sequence. Items without a place are in neither.
func sequencesOf(d *Dataset, byUser, byItem *csr, place []int32) (sequences [][]int32, at []int32) {
	sequences, at = make([][]int32, byUser.rows()), make([]int32, len(byItem.cols))
	met := make([]bool, len(byUser.cols))
	for i := range d.Samples {
		s := &d.Samples[i]
		if s.Weight <= 0 || place[s.Item] < 0 {
			continue
		}
		items, _ := byUser.row(int(s.User))
		k, _ := slices.BinarySearch(items, s.Item)
		if k += byUser.start[s.User]; met[k] {
			continue
		}
		met[k] = true
		users, _ := byItem.row(int(s.Item))
		k, _ = slices.BinarySearch(users, s.User)
		at[byItem.start[s.Item]+k] = int32(len(sequences[s.User]))
		sequences[s.User] = append(sequences[s.User], place[s.Item])
	}
	return sequences, at
}

// TrainItemKNN gives every item the weights of its k most alike ones by [Neighbours]: what item i speaks for is whom it
// is alike to.
func TrainItemKNN(ctx context.Context, d *Dataset, k int, shrink float64) (*ItemWeights, error) {
	if k < 1 || !(shrink >= 0) || math.IsInf(shrink, 0) {
		return nil, fmt.Errorf("ml: %d neighbours, shrunk by %v: give 1 or more, and a number from 0", k, shrink)
	}
	if len(d.Items) > indexMax {
		return nil, fmt.Errorf("ml: %d items: weights from item to item are stored of %d at most", len(d.Items), indexMax)
	}
	rows, err := Neighbours(ctx, d, k, shrink)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		slices.SortFunc(row, func(a, b Scored) int { return cmp.Compare(a.Index, b.Index) })
	}
	return weightsOf(rows), nil
}

// Tensors are the weights as an [Artifact] has them: how many each row has, their items, and their values. Indices are
// whole numbers below 2²⁴, which float32 has exactly.
func (w *ItemWeights) Tensors() []Tensor {
	lengths, items := make([]float32, w.Rows()), make([]float32, len(w.Items))
	for i := range lengths {
		lengths[i] = float32(w.Start[i+1] - w.Start[i])
	}
	for i, j := range w.Items {
		items[i] = float32(j)
	}
	return []Tensor{{"row_lengths", []int{len(lengths)}, lengths}, {"row_items", []int{len(items)}, items}, {"row_weights", []int{len(w.Weight)}, w.Weight}}
}

// ItemWeightsFromArtifact reads what [ItemWeights.Tensors] gave, of n items. Errors: rows that do not fit together.
func ItemWeightsFromArtifact(a *Artifact, n int) (*ItemWeights, error) {
	lengths, err := a.Tensor("row_lengths", n)
	if err != nil {
		return nil, err
	}
	w := &ItemWeights{Start: make([]int, n+1)}
	for i, v := range lengths {
		if !(v >= 0 && v <= float32(n)) || v != float32(int(v)) {
			return nil, fmt.Errorf("ml: row %d has %v weights: there are %d items", i, v, n)
		}
		w.Start[i+1] = w.Start[i] + int(v)
	}
	items, err := a.Tensor("row_items", w.Start[n])
	if err != nil {
		return nil, err
	}
	if w.Weight, err = a.Tensor("row_weights", w.Start[n]); err != nil {
		return nil, err
	}
	w.Items = make([]int32, len(items))
	for i := range n {
		last := float32(-1)
		for at := w.Start[i]; at < w.Start[i+1]; at++ {
			v := items[at]
			if !(v > last && v < float32(n)) || v != float32(int32(v)) {
				return nil, fmt.Errorf("ml: row %d has item %v after %v: want items below %d, ascending", i, v, last, n)
			}
			w.Items[at], last = int32(v), v
		}
	}
	return w, nil
}
