package ml

import (
	"cmp"
	"fmt"
	"slices"
)

// csr is a sparse matrix of positive weights, row by row; columns ascend within a row.
type csr struct {
	start  []int // row r holds entries start[r] to start[r+1]
	cols   []int32
	weight []float32
	sum    []float32 // of the weights of a row
}

func (m *csr) rows() int { return len(m.start) - 1 }

func (m *csr) row(r int) ([]int32, []float32) {
	a, b := m.start[r], m.start[r+1]
	return m.cols[a:b], m.weight[a:b]
}

// positives returns the samples with a weight above 0 as a matrix of users by items. What a user
// did several times with an item is one entry, its weights added in the order of the samples.
func positives(d *Dataset) (*csr, error) {
	users, items := len(d.Users), len(d.Items)
	m := &csr{start: make([]int, users+1), sum: make([]float32, users)}
	for i := range d.Samples {
		s := &d.Samples[i]
		if s.User < 0 || int(s.User) >= users || s.Item < 0 || int(s.Item) >= items {
			return nil, fmt.Errorf("ml: Samples[%d]: user %d, item %d outside the dataset's %d users and %d items", i, s.User, s.Item, users, items)
		}
		if !finite(s.Weight) {
			return nil, fmt.Errorf("ml: Samples[%d].Weight is %v: give a finite number", i, s.Weight)
		}
		if s.Weight > 0 {
			m.start[s.User+1]++
		}
	}
	for u := range users {
		m.start[u+1] += m.start[u]
	}
	type entry struct {
		item   int32
		weight float32
	}
	all, next := make([]entry, m.start[users]), slices.Clone(m.start[:users])
	for i := range d.Samples {
		if s := &d.Samples[i]; s.Weight > 0 {
			all[next[s.User]] = entry{s.Item, s.Weight}
			next[s.User]++
		}
	}
	distinct := 0
	for u := range users {
		row := all[m.start[u]:m.start[u+1]]
		slices.SortStableFunc(row, func(a, b entry) int { return cmp.Compare(a.item, b.item) })
		for i := range row {
			if i == 0 || row[i].item != row[i-1].item {
				distinct++
			}
		}
	}
	m.cols, m.weight = make([]int32, 0, distinct), make([]float32, 0, distinct) // no more: there may be very many
	from := 0
	for u := range users {
		row := all[from:m.start[u+1]]
		from = m.start[u+1]
		m.start[u] = len(m.cols)
		for _, e := range row {
			if n := len(m.cols); n > m.start[u] && m.cols[n-1] == e.item {
				m.weight[n-1] += e.weight
			} else {
				m.cols, m.weight = append(m.cols, e.item), append(m.weight, e.weight)
			}
		}
	}
	m.start[users] = len(m.cols)
	m.sumRows()
	return m, nil
}

func (m *csr) sumRows() {
	for r := range m.sum {
		_, weight := m.row(r)
		var sum float32
		for _, w := range weight {
			sum += w
		}
		m.sum[r] = sum
	}
}

// transpose returns the same entries, items by users.
func (m *csr) transpose(cols int) *csr {
	t := &csr{
		start:  make([]int, cols+1),
		cols:   make([]int32, len(m.cols)),
		weight: make([]float32, len(m.cols)),
		sum:    make([]float32, cols),
	}
	for _, c := range m.cols {
		t.start[c+1]++
	}
	for c := range cols {
		t.start[c+1] += t.start[c]
	}
	next := slices.Clone(t.start[:cols])
	for r := range m.rows() {
		row, weight := m.row(r)
		for i, c := range row {
			t.cols[next[c]], t.weight[next[c]] = int32(r), weight[i]
			next[c]++
		}
	}
	t.sumRows()
	return t
}

func finite(x float32) bool { return x-x == 0 }
