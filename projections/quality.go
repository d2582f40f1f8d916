package projections

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Quality is how well what serves foresees what people choose, test-then-learn (Gama et al. 2013, "On evaluating stream learning algorithms"): where the films that people met
// stood in the ranking of all that they had not met, just before the online model learned of it, as [events.QualityJudged] says. It is told by the hour (UTC) of event time, and by blocks of
// [QualityBlock] acts as they were judged, of each what ranked.
//
//	h hour MODEL version SOURCE -> QualityCounts      hour: its beginning in milliseconds
//	b BLOCK MODEL version SOURCE -> QualityCounts     BLOCK: 0, 1, …
//	x BLOCK -> millis of the first and the last of its acts, by event time
//	p BLOCK offset index -> of the event there, the first of its acts that is in the block, and its number among all that were judged, from 0
//	n -> acts judged; offset and index of the event after the last one that is counted
type Quality struct{ r fold.Reader }

const (
	// QualityRanksMax is how many ranks are told apart. A film behind them is in no list that somebody looks through.
	QualityRanksMax = 20
	// QualityBlock is how many acts a block has.
	QualityBlock = 100
	qualityK     = 10 // of what is compared
	hourMillis   = 60 * 60 * 1000
)

// QualityCounts is at which ranks one source had the films of acts.
type QualityCounts struct {
	Acts   uint64                  // that could have been judged
	Judged uint64                  // of these
	None   uint64                  // of these, of a film that is in no ranking: the catalogue does not have it
	Ranks  [QualityRanksMax]uint64 // of the acts judged, by rank - 1
	// Of the acts judged, those that this source alone had among the first ten, and those that what served alone had there.
	Gained, Lost uint64
}

func (c *QualityCounts) numbers() []*uint64 {
	all := []*uint64{&c.Acts, &c.Judged, &c.None, &c.Gained, &c.Lost}
	for i := range c.Ranks {
		all = append(all, &c.Ranks[i])
	}
	return all
}

// Add adds others.
func (c *QualityCounts) Add(d *QualityCounts) {
	more := d.numbers()
	for i, n := range c.numbers() {
		*n += *more[i]
	}
}

// HitRate is the share of the acts judged whose film was among the first k, at most [QualityRanksMax]; 0 without acts.
func (c *QualityCounts) HitRate(k int) float64 {
	var hits uint64
	for _, n := range c.Ranks[:k] {
		hits += n
	}
	return float64(hits) / float64(max(1, c.Judged))
}

// NDCG is the mean of 1/log₂(rank+1) of films among the first k, 0 of others; 0 without acts.
func (c *QualityCounts) NDCG(k int) float64 {
	var gain float64
	for i, n := range c.Ranks[:k] {
		gain += float64(n) / math.Log2(float64(i+2))
	}
	return gain / float64(max(1, c.Judged))
}

// Lead is by how much the hit rate at 10 of what served was above this source's, over the same acts, and the ends of its 95 % interval (Wald's, for matched pairs). Acts of one person are taken for
// independent.
func (c *QualityCounts) Lead() (lead, low, high float64) {
	n := float64(max(1, c.Judged))
	lost, gained := float64(c.Lost), float64(c.Gained)
	lead = (lost - gained) / n
	spread := 1.96 * math.Sqrt(max(0, lost+gained-n*lead*lead)) / n
	return lead, lead - spread, lead + spread
}

// QualityRow is the counts of a source over a window.
type QualityRow struct {
	FromMillis, ToMillis int64 // of event time: [from, to)
	ModelName            string
	ModelVersion         int
	Source               string
	QualityCounts

	FirstAct, LastAct uint64 // of a window of acts: their numbers, from 1, in the order in which they were judged
}

// NewQuality makes the view "quality".
func NewQuality() *Quality { return &Quality{} }

func (*Quality) Spec() fold.Spec {
	return fold.Spec{Name: "quality", Format: 2, Topics: fold.LedgerTopics, Indexed: true, Unawaited: true}
}

func (v *Quality) Open(r fold.Reader) error { v.r = r; return nil }
func (*Quality) Flush(fold.Writer) error    { return nil }

func (*Quality) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.QualityJudged); ok {
			if err := applyQuality(w, &in[i], x); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func applyQuality(w fold.Writer, in *fold.Input, x *events.QualityJudged) error {
	judged, next, err := readJudged(w)
	at := [2]uint64{uint64(in.Position.Offset), uint64(in.Index)}
	if err != nil || slices.Compare(at[:], next[:]) < 0 {
		return err
	}
	changed := map[string]*QualityCounts{}
	count := func(key fold.Key) (*QualityCounts, error) {
		c := changed[string(key)]
		if c == nil {
			stored, err := readQuality(w, key)
			if err != nil {
				return nil, err
			}
			c = &stored
			changed[string(key)] = c
		}
		return c, nil
	}
	for i := range x.Acts {
		a := &x.Acts[i]
		block := judged / QualityBlock
		if i == 0 || judged%QualityBlock == 0 {
			if err := w.Set(fold.Table('p').U64(block).U64(at[0]).U64(at[1]), fold.Key{}.Uvarint(uint64(i)).Uvarint(judged)); err != nil {
				return err
			}
		}
		judged++
		if err := widen(w, fold.Table('x').U64(block), a.TimeMillis); err != nil {
			return err
		}
		hour := a.TimeMillis - ((a.TimeMillis%hourMillis)+hourMillis)%hourMillis
		for k, source := range x.Sources[:min(len(x.Sources), len(a.Ranks))] {
			for _, key := range []fold.Key{fold.Table('h').Millis(hour), fold.Table('b').U64(block)} {
				c, err := count(key.Str(x.ModelName).U32(uint32(x.ModelVersion)).Str(source))
				if err != nil {
					return err
				}
				c.add(a, k)
			}
		}
	}
	for key, c := range changed {
		value := fold.Key{}
		for _, n := range c.numbers() {
			value = value.Uvarint(*n)
		}
		if err := w.Set([]byte(key), value); err != nil {
			return err
		}
	}
	return w.Set(fold.Table('n'), fold.Key{}.Uvarint(judged).Uvarint(at[0]).Uvarint(at[1]+1))
}

func (c *QualityCounts) add(a *events.JudgedAct, source int) {
	among := func(rank, k int) bool { return rank >= 1 && rank <= k }
	rank, served := a.Ranks[source], a.Ranks[0]
	c.Acts += uint64(max(1, a.Of))
	c.Judged++
	switch {
	case rank == 0:
		c.None++
	case among(rank, QualityRanksMax):
		c.Ranks[rank-1]++
	}
	switch here, there := among(rank, qualityK), among(served, qualityK); {
	case here && !there:
		c.Gained++
	case there && !here:
		c.Lost++
	}
}

// widen has the times of a block take one in.
func widen(w fold.Writer, key fold.Key, millis int64) error {
	value, ok, err := w.Get(key)
	if err != nil {
		return err
	}
	first, last := millis, millis
	if ok {
		p := fold.PartsOf(value)
		first, last = min(first, p.Millis()), max(last, p.Millis())
		if p.Err() != nil {
			return p.Err()
		}
	}
	return w.Set(key, fold.Key{}.Millis(first).Millis(last))
}

// readJudged is how many acts are counted, and the place of the next event, offset and index.
func readJudged(r fold.Reader) (judged uint64, next [2]uint64, err error) {
	value, ok, err := r.Get(fold.Table('n'))
	if !ok || err != nil {
		return 0, next, err
	}
	p := fold.PartsOf(value)
	judged, next[0], next[1] = p.Uvarint(), p.Uvarint(), p.Uvarint()
	return judged, next, p.Err()
}

func readQuality(r fold.Reader, key fold.Key) (c QualityCounts, err error) {
	value, ok, err := r.Get(key)
	if !ok || err != nil {
		return c, err
	}
	return parseQuality(value)
}

func parseQuality(value []byte) (c QualityCounts, err error) {
	p := fold.PartsOf(value)
	for _, n := range c.numbers() {
		*n = p.Uvarint()
	}
	if p.Err() != nil {
		return c, fault.Wrap(fault.Corrupt, fold.ErrKey, "stored counts of view quality do not read")
	}
	return c, nil
}

// Judged is how many acts were judged.
func (v *Quality) Judged() (uint64, error) {
	n, _, err := readJudged(v.r)
	return n, err
}

// Hours are the counts of the windows of so many hours that begin in [fromMillis, toMillis), oldest first; at most so many rows. A day is 24 hours: windows begin at multiples of their length.
func (v *Quality) Hours(fromMillis, toMillis int64, hours, most int) ([]QualityRow, error) {
	length := int64(hours) * hourMillis
	return v.rows('h', fold.Key{}.Millis(fromMillis), fold.Key{}.Millis(toMillis), most, func(p *fold.KeyParts, r *QualityRow) error {
		at := p.Millis()
		r.FromMillis = at - ((at%length)+length)%length
		r.ToMillis = r.FromMillis + length
		return nil
	})
}

// Blocks are the counts of the last so many windows of blocks, oldest first; at most so many rows.
func (v *Quality) Blocks(windows, blocks, most int) ([]QualityRow, error) {
	judged, err := v.Judged()
	if err != nil {
		return nil, err
	}
	size := uint64(blocks)
	end := (judged + QualityBlock - 1) / QualityBlock
	first := uint64(0)
	if have := (end + size - 1) / size; have > uint64(windows) {
		first = (have - uint64(windows)) * size
	}
	spans := map[uint64][2]int64{} // by window
	for kv, err := range v.r.Scan(fold.Table('x').U64(first), fold.Table('x').End()) {
		if err != nil {
			return nil, err
		}
		k, p := fold.Parts(kv.Key), fold.PartsOf(kv.Value)
		window := k.U64() / size
		from, to := p.Millis(), p.Millis()+1
		if span, ok := spans[window]; ok {
			from, to = min(from, span[0]), max(to, span[1])
		}
		if spans[window] = [2]int64{from, to}; k.Err() != nil || p.Err() != nil {
			return nil, cmp.Or(k.Err(), p.Err())
		}
	}
	return v.rows('b', fold.Key{}.U64(first), fold.Key{}.U64(math.MaxUint64), most, func(p *fold.KeyParts, r *QualityRow) error {
		window := p.U64() / size
		span, ok := spans[window]
		if !ok {
			return fold.ErrKey
		}
		r.FromMillis, r.ToMillis = span[0], span[1]
		r.FirstAct, r.LastAct = window*size*QualityBlock+1, min((window+1)*size*QualityBlock, judged)
		return nil
	})
}

// rows are the counts of a table between two keys, those of one window and source together. Windows come one after the other.
func (v *Quality) rows(table byte, from, to fold.Key, most int, window func(p *fold.KeyParts, r *QualityRow) error) ([]QualityRow, error) {
	rows := []QualityRow{}
	open := 0 // of rows, the first of the window that is read
	for kv, err := range v.r.Scan(append(fold.Table(table), from...), append(fold.Table(table), to...)) {
		if err != nil {
			return nil, err
		}
		p := fold.Parts(kv.Key)
		var r QualityRow
		if err := window(p, &r); err != nil {
			return nil, err
		}
		r.ModelName, r.ModelVersion, r.Source = p.Str(), int(p.U32()), p.Str()
		if r.QualityCounts, err = parseQuality(kv.Value); err != nil || p.Err() != nil {
			return nil, cmp.Or(err, p.Err())
		}
		if open < len(rows) && (rows[open].FromMillis != r.FromMillis || rows[open].FirstAct != r.FirstAct) {
			open = len(rows)
		}
		at := slices.IndexFunc(rows[open:], func(o QualityRow) bool {
			return o.ModelName == r.ModelName && o.ModelVersion == r.ModelVersion && o.Source == r.Source
		})
		if at >= 0 {
			rows[open+at].Add(&r.QualityCounts)
			continue
		}
		if len(rows) == most {
			return nil, fault.New(fault.Invalid, "there are more than %d rows: ask for fewer or longer windows", most)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// JudgedPart is acts of one event that follow each other: from the act of the index First on, which is the one of the number Act among all, from 1.
type JudgedPart struct {
	Offset int64 // of the ledger
	Index  int   // of the event in its commit
	First  int
	Act    uint64
}

// Parts are where the ledger has the acts of the numbers from first on, in order: those parts that begin in its block, or behind it.
func (v *Quality) Parts(first uint64) iter.Seq2[JudgedPart, error] {
	return func(yield func(JudgedPart, error) bool) {
		for kv, err := range v.r.Scan(fold.Table('p').U64((max(first, 1)-1)/QualityBlock), fold.Table('p').End()) {
			if err != nil {
				yield(JudgedPart{}, err)
				return
			}
			k, p := fold.Parts(kv.Key), fold.PartsOf(kv.Value)
			k.U64()
			part := JudgedPart{Offset: int64(k.U64()), Index: int(k.U64()), First: int(p.Uvarint()), Act: p.Uvarint() + 1}
			if err := cmp.Or(k.Err(), p.Err()); !yield(part, err) || err != nil {
				return
			}
		}
	}
}
