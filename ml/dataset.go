package ml

import "sort"

// Sample is one interaction with dense indices into a [Dataset]'s Users and Items.
type Sample struct {
	User, Item int32
	Time       int64   // event time, Unix milliseconds
	Rating     float32 // 0..5 stars, or NaN where the interaction carries no rating
	Weight     float32 // preference strength: > 0 liked, 0 seen without preference, < 0 disliked
}

// Dataset is a set of interactions, read from the log up to a cut.
//
// Users and Items are sorted and unique; Samples are ordered by (Time, User, Item), so that the
// same cut always gives the same bytes.
type Dataset struct {
	Users, Items []string
	Samples      []Sample
}

// Sort puts Samples in their canonical order: time, user, item, rating, weight.
func (d *Dataset) Sort() {
	sort.Slice(d.Samples, func(i, j int) bool {
		a, b := &d.Samples[i], &d.Samples[j]
		switch {
		case a.Time != b.Time:
			return a.Time < b.Time
		case a.User != b.User:
			return a.User < b.User
		case a.Item != b.Item:
			return a.Item < b.Item
		case a.Rating != b.Rating:
			return a.Rating < b.Rating
		}
		return a.Weight < b.Weight
	})
}
