package ml

import "math"

// DayMillis is the length of a bucket of [DayCount].
const DayMillis = 24 * 60 * 60 * 1000

// DayCount is how often something happened on one day.
type DayCount struct {
	Day   int32 // days since 1 January 1970, UTC; see [DayOf]
	Count int64
}

// DayOf returns the day of a time in Unix milliseconds, before 1970 too; days beyond int32 are cut.
func DayOf(millis int64) int32 {
	day := millis / DayMillis
	if millis%DayMillis < 0 {
		day--
	}
	return int32(max(math.MinInt32, min(day, math.MaxInt32)))
}

// DecayedCount is Σ count·½^((now−day)/halfLifeDays) over the buckets in the order given, which must
// be fixed (by day) for the sum to be the same every time. Buckets after now do not count: they
// were not known. A half-life of 0 or less, or NaN, means no decay.
//
// Counts are integers per day, so a fold may take them in any order and subtract them again.
func DecayedCount(counts []DayCount, now int32, halfLifeDays float64) float64 {
	var sum float64
	for _, c := range counts {
		if c.Day > now {
			continue
		}
		if !(halfLifeDays > 0) {
			sum += float64(c.Count)
			continue
		}
		age := float64(int64(now) - int64(c.Day))
		sum += float64(float64(c.Count) * math.Exp2(-age/halfLifeDays))
	}
	return sum
}

// Popularity is the baseline that every model is compared with: how many positives each item has,
// by day.
type Popularity struct {
	days [][]DayCount // per item, ascending
}

// NewPopularity counts the samples of d with a weight above 0. Samples are in canonical order.
func NewPopularity(d *Dataset) *Popularity {
	p := &Popularity{make([][]DayCount, len(d.Items))}
	for i := range d.Samples {
		s := &d.Samples[i]
		if !(s.Weight > 0) {
			continue
		}
		day, list := DayOf(s.Time), p.days[s.Item]
		if n := len(list); n > 0 && list[n-1].Day == day {
			list[n-1].Count++
		} else {
			p.days[s.Item] = append(list, DayCount{day, 1})
		}
	}
	return p
}

// Scores returns the popularity of every item at a time (Unix milliseconds), decayed with a
// half-life in days; halfLifeDays 0 gives plain counts up to that day.
func (p *Popularity) Scores(nowMillis int64, halfLifeDays float64) []float32 {
	scores, now := make([]float32, len(p.days)), DayOf(nowMillis)
	for i, counts := range p.days {
		scores[i] = float32(DecayedCount(counts, now, halfLifeDays))
	}
	return scores
}
