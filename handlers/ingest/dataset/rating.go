package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
)

// Rating is one row of the ratings file.
type Rating struct {
	UserID, MovieID string  // canonical
	Rating          float64 // 0 < Rating ≤ 5; see [Set.Ratings] on MovieTweetings
	TimeMillis      int64   // event time, Unix milliseconds; the published files have whole seconds
	Line            int64   // in the ratings file, from 1
}

// Progress says how far a pass is. Bytes count unpacked bytes of the ratings file.
type Progress struct {
	BytesRead, BytesTotal int64
	Rows                  int64
}

const (
	// ratingUnits is how a rating is held: in ten-thousandths of a star, exact for up to four decimals.
	ratingUnits    = 10_000
	ratingUnitsMax = events.RatingMax * ratingUnits
	// tweetUnitsMin is what a MovieTweetings rating of 0 becomes, half a star: the lowest step of our
	// scale, where 0 means that there is no rating.
	tweetUnitsMin = ratingUnits / 2
	// secondsMax is 2100-01-01T00:00:00Z.
	secondsMax = 4_102_444_800
	// movieLensStart is 1995-01-01T00:00:00Z, just before the oldest rating of any of these sets. A last
	// line without line end and with an older time has lost its last digits.
	movieLensStart = 788_918_400
)

// Ratings yields the ratings in the order of the file. progress, which may be nil, is called about
// once per MiB and at the end. For a line that is not what the layout says it yields a [*LineError] with its
// text and goes on; any other error ends the sequence: ctx's once it is done, or that of the disk or archive.
//
// Ratings are on the scale 0–5. MovieTweetings' 0–10 is halved, and its 0 becomes 0.5, the lowest step,
// because 0 is no rating on our scale.
func (s *Set) Ratings(ctx context.Context, progress func(Progress)) iter.Seq2[Rating, error] {
	return func(yield func(Rating, error) bool) {
		users, movies := newInterner(events.CanonicalUser), newInterner(events.CanonicalMovie)
		more := true
		rows, err := s.eachRow(ctx, progress, users, movies, func(r row, bad *LineError) bool {
			if bad != nil {
				more = yield(Rating{}, bad)
				return more
			}
			more = yield(Rating{
				UserID: users.ids[r.user], MovieID: movies.ids[r.movie],
				Rating: float64(r.units) / ratingUnits, TimeMillis: r.timeMillis(), Line: int64(r.line),
			}, nil)
			return more
		})
		if err == nil && more && rows == 0 {
			err = s.noRating()
		}
		if err != nil && more {
			yield(Rating{}, err)
		}
	}
}

// SortedRatings yields the same ratings by (time, user, movie, line), ids compared as strings; lines that
// cannot be read come before the first. It holds all of them, at 20 bytes a row and once each id; progress is that of reading, and ctx is not looked at
// during the sort in between (about half a second per million rows).
func (s *Set) SortedRatings(ctx context.Context, progress func(Progress)) iter.Seq2[Rating, error] {
	return func(yield func(Rating, error) bool) {
		users, movies := newInterner(events.CanonicalUser), newInterner(events.CanonicalMovie)
		var rows []row
		var at Progress
		more := true
		_, err := s.eachRow(ctx, func(p Progress) {
			at = p
			if progress != nil {
				progress(p)
			}
		}, users, movies, func(r row, bad *LineError) bool {
			if bad != nil {
				more = yield(Rating{}, bad)
				return more
			}
			if len(rows) == cap(rows) && at.BytesRead > 0 {
				// The bytes per row so far tell how many are to come, so that growing by doubling, which
				// holds two copies, is for the head only.
				expected := float64(at.BytesTotal) / float64(at.BytesRead) * float64(len(rows)) * 1.02
				rows = slices.Grow(rows, max(1024, int(expected)-len(rows)))
			}
			rows = append(rows, r)
			return true
		})
		if !more {
			return
		}
		if err == nil && len(rows) == 0 {
			err = s.noRating()
		}
		if err != nil {
			yield(Rating{}, err)
			return
		}
		rank(rows, users, func(r *row) *uint32 { return &r.user })
		rank(rows, movies, func(r *row) *uint32 { return &r.movie })
		slices.SortFunc(rows, compareRows)
		for i, r := range rows {
			if i%(1<<16) == 0 && ctx.Err() != nil {
				yield(Rating{}, ctx.Err())
				return
			}
			if !yield(Rating{
				UserID: users.ids[r.user], MovieID: movies.ids[r.movie],
				Rating: float64(r.units) / ratingUnits, TimeMillis: r.timeMillis(), Line: int64(r.line),
			}, nil) {
				return
			}
		}
	}
}

// row is a rating in 20 bytes.
type row struct {
	seconds     uint32 // Unix time, up to 2100
	user, movie uint32 // indices into interner.ids
	line        uint32
	units       uint16 // ten-thousandths of a star
	millis      uint16 // of the second; the published sets have whole ones
}

func (r *row) timeMillis() int64 { return int64(r.seconds)*1000 + int64(r.millis) }

func compareRows(a, b row) int {
	if a.seconds != b.seconds {
		if a.seconds < b.seconds {
			return -1
		}
		return 1
	}
	if a.millis != b.millis {
		return int(a.millis) - int(b.millis)
	}
	x, y := uint64(a.user)<<32|uint64(a.movie), uint64(b.user)<<32|uint64(b.movie)
	if x == y {
		x, y = uint64(a.line), uint64(b.line)
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// rank renumbers the ids so that their numbers sort as the ids do.
func rank(rows []row, in *interner, field func(*row) *uint32) {
	order := make([]uint32, len(in.ids))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(in.ids[a], in.ids[b]) })
	ids, ranks := make([]string, len(order)), make([]uint32, len(order))
	for i, o := range order {
		ids[i], ranks[o] = in.ids[o], uint32(i)
	}
	for i := range rows {
		p := field(&rows[i])
		*p = ranks[*p]
	}
	in.ids = ids
}

// interner gives every canonical id a small number, whatever its spellings.
type interner struct {
	canonical   func(string) string
	bySpelling  map[string]uint32
	byCanonical map[string]uint32
	ids         []string
	// small maps plain numbers below smallMax to 1 + their index: MovieLens' ids are all of that kind.
	small []uint32
}

// smallMax keeps interner.small below 4 MiB; ml-32m's ids stay below 300,000.
const smallMax = 1 << 20

func newInterner(canonical func(string) string) *interner {
	return &interner{canonical: canonical, bySpelling: map[string]uint32{}, byCanonical: map[string]uint32{}}
}

// index returns the number of an id that consists of digits.
func (in *interner) index(raw []byte) uint32 {
	if raw[0] == '0' || len(raw) > 7 {
		return in.lookUp(raw)
	}
	n := 0
	for _, c := range raw {
		n = n*10 + int(c-'0')
	}
	if n >= smallMax {
		return in.lookUp(raw)
	}
	if n >= len(in.small) {
		in.small = append(in.small, make([]uint32, n+1-len(in.small))...)
	}
	if in.small[n] == 0 {
		in.small[n] = 1 + in.lookUp(raw)
	}
	return in.small[n] - 1
}

func (in *interner) lookUp(raw []byte) uint32 {
	if i, ok := in.bySpelling[string(raw)]; ok {
		return i
	}
	return in.add(string(raw), in.canonical(string(raw)))
}

// add is the number of a canonical id under a new spelling.
func (in *interner) add(spelling, id string) uint32 {
	i, ok := in.byCanonical[id]
	if !ok {
		i = uint32(len(in.ids))
		in.ids = append(in.ids, id)
		in.byCanonical[id] = i
	}
	in.bySpelling[spelling] = i
	return i
}

// eachRow is the hot path: it parses the ratings file record by record until each says to stop, and returns
// how many rows there were.
func (s *Set) eachRow(ctx context.Context, progress func(Progress), users, movies *interner, each func(row, *LineError) bool) (int64, error) {
	f, size, err := s.open(s.ratings, ratingBytesMax)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if progress == nil {
		progress = func(Progress) {}
	}
	p, parse := newRowParser(s, users, movies)
	in := newRecords(contextReader{ctx, f}, s.comma())
	header := s.Layout == LayoutCSV || s.table != nil && s.table.headed
	at := Progress{BytesTotal: size}
	reported := in.read
	for {
		text, err := in.next()
		at.BytesRead = in.read
		if err == io.EOF {
			break
		}
		if err != nil && !passable(err) {
			return at.Rows, fmt.Errorf("dataset: %s, after line %d: %w", p.file, in.lines, err)
		}
		if in.line > math.MaxUint32 {
			return at.Rows, s.fault(s.ratings, in.line, "line", "", "at most 4294967295 lines")
		}
		p.line, p.last = in.line, in.last
		if header {
			if header = false; s.table == nil {
				if bad := p.header(text, err); bad != nil {
					return 0, bad
				}
			}
			continue
		}
		r, bad := parse(text, err)
		if bad == nil {
			at.Rows++
		} else {
			bad = bad.of(text)
		}
		if !each(r, bad) {
			return at.Rows, nil
		}
		if at.BytesRead-reported >= blockBytes {
			reported = at.BytesRead
			progress(at)
		}
	}
	if ctx.Err() != nil {
		return at.Rows, ctx.Err()
	}
	progress(at)
	return at.Rows, nil
}

// noRating is the error about ratings none of which can be read.
func (s *Set) noRating() error {
	return s.fault(s.ratings, 0, "file", "", "at least one rating that can be read")
}

const ratingsHeader = "userId,movieId,rating,timestamp"

type rowParser struct {
	file          string
	line          int64
	last          bool // the file ends without a line end after it
	split         splitter
	tweets        bool
	latest        int64 // Unix milliseconds, of a rating
	users, movies *interner
}

// newRowParser is the parser of the set's layout, and what it parses a record with.
func newRowParser(s *Set, users, movies *interner) (*rowParser, func(text []byte, err error) (row, *LineError)) {
	p := &rowParser{file: s.file(s.ratings), tweets: s.Layout == LayoutMovieTweetings, latest: math.MaxInt64, users: users, movies: movies}
	if !s.Latest.IsZero() {
		p.latest = s.Latest.UnixMilli()
	}
	switch s.Layout {
	case LayoutTable:
		p.split = splitter{sep: []byte{s.table.sep}, quotes: true}
		t := &tableParser{p, s.table}
		return p, t.parse
	case LayoutCSV:
		p.split = splitter{sep: []byte(","), quotes: true}
	case LayoutUData:
		p.split = splitter{sep: []byte("\t")}
	default:
		p.split = splitter{sep: []byte("::")}
	}
	return p, p.parse
}

// header says what is wrong with the first line of ratings.csv.
func (p *rowParser) header(text []byte, err error) *LineError {
	var fields [][]byte
	if err == nil {
		fields, err = p.split.split(text)
	}
	if err != nil || string(bytes.Join(fields, p.split.sep)) != ratingsHeader {
		return p.fault("header", text, ratingsHeader)
	}
	return nil
}

func (p *rowParser) fault(field string, got []byte, want string) *LineError {
	return &LineError{File: p.file, Line: p.line, Field: field, Got: excerpt(got), Want: want}
}

// parse reads one record, or says what is wrong with it.
func (p *rowParser) parse(text []byte, err error) (row, *LineError) {
	var fields [][]byte
	if err == nil {
		fields, err = p.split.split(text)
	}
	if err != nil {
		return row{}, p.fault("line", text, err.Error())
	}
	if len(fields) != 4 {
		return row{}, p.fault("line", text, p.shape())
	}
	user, movie, rating, timestamp := fields[0], fields[1], fields[2], fields[3]
	if !isNumber(user) {
		return row{}, p.fault("user id", user, "1 to 18 digits")
	}
	if !isNumber(movie) {
		return row{}, p.fault("movie id", movie, "1 to 18 digits")
	}
	units, bad := p.units(rating)
	if bad != nil {
		return row{}, bad
	}
	seconds, bad := p.seconds(timestamp)
	if bad != nil {
		return row{}, bad
	}
	return row{seconds: seconds, user: p.users.index(user), movie: p.movies.index(movie), line: uint32(p.line), units: units}, nil
}

// units reads a rating in ten-thousandths of a star.
func (p *rowParser) units(rating []byte) (uint16, *LineError) {
	units, ok := decimal(rating)
	switch {
	case !ok:
		return 0, p.fault("rating", rating, "a number with at most four decimals")
	case p.tweets && units > 2*ratingUnitsMax:
		return 0, p.fault("rating", rating, "0 to 10")
	case p.tweets:
		return uint16(max(units/2, tweetUnitsMin)), nil
	case units == 0 || units > ratingUnitsMax:
		return 0, p.fault("rating", rating, "more than 0 and at most 5")
	}
	return uint16(units), nil
}

// seconds reads a Unix time.
func (p *rowParser) seconds(timestamp []byte) (uint32, *LineError) {
	if !isNumber(timestamp) {
		if len(timestamp) > 1 && timestamp[0] == '-' && isNumber(timestamp[1:]) {
			return 0, p.fault("timestamp", timestamp, "Unix seconds from 1970 to 2100, not a negative time")
		}
		return 0, p.fault("timestamp", timestamp, "Unix seconds, the last of four fields")
	}
	var seconds int64
	for _, c := range timestamp {
		seconds = seconds*10 + int64(c-'0')
	}
	if seconds >= secondsMax {
		return 0, p.fault("timestamp", timestamp, "Unix seconds from 1970 to 2100 (milliseconds?)")
	}
	if p.last && seconds < movieLensStart {
		return 0, p.fault("timestamp", timestamp, "ten digits or a line end: the file ends in the middle of its last line")
	}
	if seconds*1000 > p.latest {
		return 0, p.ahead("timestamp", timestamp)
	}
	return uint32(seconds), nil
}

// ahead is the fault of a time after the last that a rating may be of.
func (p *rowParser) ahead(field string, timestamp []byte) *LineError {
	return p.fault(field, timestamp, "a time not after "+events.FormatTime(events.TimeOf(p.latest))+", a day ahead of this machine's clock")
}

func (p *rowParser) shape() string {
	want := strings.Join([]string{"user", "movie", "rating", "timestamp"}, string(p.split.sep))
	if p.last {
		want += " (the file ends in the middle of its last line)"
	}
	return want
}

// isNumber allows as many digits as an int64 surely holds.
func isNumber(b []byte) bool {
	if len(b) == 0 || len(b) > 18 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// decimal reads an unsigned decimal number of at most two digits before the point and four after it
// (and zeros after those), in ten-thousandths.
func decimal(b []byte) (int, bool) {
	units, i := 0, 0
	for ; i < len(b) && b[i] != '.'; i++ {
		if b[i] < '0' || b[i] > '9' || i > 8 {
			return 0, false
		}
		units = units*10 + int(b[i]-'0')
	}
	if i == 0 {
		return 0, false
	}
	units *= ratingUnits
	if i == len(b) {
		return units, true
	}
	if i++; i == len(b) {
		return 0, false
	}
	for scale := ratingUnits / 10; i < len(b); i++ {
		if b[i] < '0' || b[i] > '9' || scale == 0 && b[i] != '0' {
			return 0, false
		}
		units += int(b[i]-'0') * scale
		scale /= 10
	}
	return units, true
}
