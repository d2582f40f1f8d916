package dataset

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/realdata"
)

// The films are invented; the shapes are those of the published files.
var fixtures = map[string]struct {
	folder  string
	files   map[string]string
	name    string
	layout  Layout
	movies  []Movie
	ratings []Rating
}{
	"csv": {
		folder: "ml-latest-tiny",
		files: map[string]string{
			"ratings.csv": "\xef\xbb\xbfuserId,movieId,rating,timestamp\r\n7,1,4.5,964982703\r\n7,0020,0.5,964982700\r\n12,3,5.0,1537799250\r\n",
			"movies.csv": "\xef\xbb\xbfmovieId,title,genres\r\n1,\"Lantern, The (Lanterne, La) (1995)\",Adventure|Children's|Drama\r\n" +
				"3,\"12'04\"\"05, or \"\"Late\"\" (2002)\",(no genres listed)\r\n20,\"Harbour &amp; Sea: A Series (2006–2007) \",IMAX\r\n",
			"links.csv": "movieId,imdbId,tmdbId\r\n1,0114709,862\r\n3,6397426,\r\n",
			"tags.csv":  "userId,movieId,tag,timestamp\r\n",
		},
		name: "ml-latest-tiny", layout: LayoutCSV,
		movies: []Movie{
			{ID: "1", Title: "The Lantern (La Lanterne)", Year: 1995, Genres: []string{"Adventure", "Children", "Drama"}, IMDbID: "tt0114709", TMDBID: "862", Source: "movielens"},
			{ID: "3", Title: `12'04"05, or "Late"`, Year: 2002, IMDbID: "tt6397426", Source: "movielens"},
			{ID: "20", Title: "Harbour &amp; Sea: A Series", Year: 2006, Genres: []string{"IMAX"}, Source: "movielens"},
		},
		ratings: []Rating{
			{"7", "1", 4.5, 964982703000, 2}, {"7", "20", .5, 964982700000, 3}, {"12", "3", 5, 1537799250000, 4},
		},
	},
	"ml-1m": {
		folder: "ml-1m",
		files: map[string]string{
			"ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n2::661::4::978298413",
			"movies.dat":  "661::Caf\xe9, Le (1996)::Animation|Children's|Musical\n1193::One::Two (1975)::Drama\n",
			"users.dat":   "1::F::1::10::48067\n",
		},
		name: "ml-1m", layout: LayoutDat,
		movies: []Movie{
			{ID: "661", Title: "Le Café", Year: 1996, Genres: []string{"Animation", "Children", "Musical"}, Source: "movielens"},
			{ID: "1193", Title: "One::Two", Year: 1975, Genres: []string{"Drama"}, Source: "movielens"},
		},
		ratings: []Rating{{"1", "1193", 5, 978300760000, 1}, {"1", "661", 3, 978302109000, 2}, {"2", "661", 4, 978298413000, 3}},
	},
	"ml-10m": {
		folder: "ml-10M100K",
		files: map[string]string{
			"ratings.dat": "1::122::5::838985046\n1::185::3.5::838983525\n",
			"movies.dat":  "122::Señor Lamp (1992)::Comedy|Romance\n185::Net of Sand, The (1995)::(no genres listed)\n",
			"tags.dat":    "15::4973::fine::1215184630\n",
		},
		name: "ml-10m", layout: LayoutDat,
		movies: []Movie{
			{ID: "122", Title: "Señor Lamp", Year: 1992, Genres: []string{"Comedy", "Romance"}, Source: "movielens"},
			{ID: "185", Title: "The Net of Sand", Year: 1995, Source: "movielens"},
		},
		ratings: []Rating{{"1", "122", 5, 838985046000, 1}, {"1", "185", 3.5, 838983525000, 2}},
	},
	"ml-100k": {
		folder: "ml-100k",
		files: map[string]string{
			"u.data": "196\t242\t3\t881250949\n186\t2\t1\t891717742\n",
			"u.item": "2|Caf\xe9 of Gold (1995)|01-Jan-1995||http://example.org/2|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0\n" +
				"242|unknown|||http://example.org/242|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n" +
				"243|Lamp|24-Jan-1997|||0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n\n",
			"u.genre": "unknown|0\nAction|1\nAdventure|2\nAnimation|3\nChildren's|4\nComedy|5\nCrime|6\nDocumentary|7\nDrama|8\nFantasy|9\n" +
				"Film-Noir|10\nHorror|11\nMusical|12\nMystery|13\nRomance|14\nSci-Fi|15\nThriller|16\nWar|17\nWestern|18\n\n",
			"u.user": "1|24|M|technician|85711\n",
		},
		name: "ml-100k", layout: LayoutUData,
		movies: []Movie{
			{ID: "2", Title: "Café of Gold", Year: 1995, Genres: []string{"Action", "Adventure", "Thriller"}, Source: "movielens"},
			{ID: "242", Title: "unknown", Source: "movielens"},
			{ID: "243", Title: "Lamp", Year: 1997, Genres: []string{"Children"}, Source: "movielens"},
		},
		ratings: []Rating{{"196", "242", 3, 881250949000, 1}, {"186", "2", 1, 891717742000, 2}},
	},
	"movietweetings": {
		folder: "latest",
		files: map[string]string{
			"ratings.dat": "1::1074638::7::1365029107\n1::0002844::0::1366576639\n2::10872600::10::1364690142\n",
			"movies.dat":  "0002844::Lumière - Die, Die (1913)::Crime|Drama\n1074638::Matrix, The (1930)::\n10872600::Far (2021)::Sci-Fi\n",
		},
		name: "movietweetings", layout: LayoutMovieTweetings,
		movies: []Movie{
			{ID: "2844", Title: "Lumière - Die, Die", Year: 1913, Genres: []string{"Crime", "Drama"}, IMDbID: "tt0002844", Source: "movietweetings"},
			{ID: "1074638", Title: "Matrix, The", Year: 1930, IMDbID: "tt1074638", Source: "movietweetings"},
			{ID: "10872600", Title: "Far", Year: 2021, Genres: []string{"Sci-Fi"}, IMDbID: "tt10872600", Source: "movietweetings"},
		},
		ratings: []Rating{{"1", "1074638", 3.5, 1365029107000, 1}, {"1", "2844", .5, 1366576639000, 2}, {"2", "10872600", 5, 1364690142000, 3}},
	},
}

func TestLayouts(t *testing.T) {
	for name, f := range fixtures {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, f.folder)
			write(t, dir, f.files)
			flat, nested := filepath.Join(root, f.folder+".zip"), filepath.Join(t.TempDir(), "download.ZIP")
			archive(t, flat, "", f.files)
			archive(t, nested, "outer/"+f.folder+"/", f.files)
			var digests []string
			for _, path := range []string{dir, root, flat, nested} {
				s := open(t, path)
				if s.Name != f.name || s.Layout != f.layout {
					t.Errorf("%s: %s in layout %s, want %s in %s", path, s.Name, s.Layout, f.name, f.layout)
				}
				if got := movies(t, s); !reflect.DeepEqual(got, f.movies) {
					t.Errorf("%s: movies\n%+v, want\n%+v", path, got, f.movies)
				}
				if got := ratings(t, s); !slices.Equal(got, f.ratings) {
					t.Errorf("%s: ratings\n%v, want\n%v", path, got, f.ratings)
				}
				digest, err := s.Digest(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				digests = append(digests, digest)
			}
			if len(slices.Compact(digests)) != 1 {
				t.Errorf("folder and archive have digests %v", digests)
			}
			// One byte more is another data set.
			for _, file := range []string{"ratings.csv", "ratings.dat", "u.data"} {
				if content, ok := f.files[file]; ok {
					write(t, dir, map[string]string{file: content + "\n"})
				}
			}
			changed, err := open(t, dir).Digest(t.Context())
			if err != nil || changed == digests[0] {
				t.Errorf("digest after a change: %s, %v", changed, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	csv := fixtures["csv"].files
	for name, c := range map[string]struct {
		files map[string]string // by path below the folder
		want  string
	}{
		"nothing":      {map[string]string{"readme.txt": "x"}, "no ratings.csv"},
		"no films":     {map[string]string{"ratings.csv": csv["ratings.csv"]}, "not movies.csv"},
		"two sets":     {map[string]string{"a/ratings.csv": "", "b/ratings.dat": ""}, "several data sets (a, b)"},
		"too deep":     {map[string]string{"a/b/c/ratings.csv": ""}, "no ratings.csv"},
		"folder named": {map[string]string{"ratings.csv/x": ""}, "no ratings.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.files)
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"ratings.csv": csv["ratings.csv"]})
	if _, err := Open(filepath.Join(dir, "ratings.csv")); err == nil || !strings.Contains(err.Error(), "give the folder") {
		t.Errorf("a single file: %v", err)
	}
	whole := filepath.Join(dir, "whole.zip")
	archive(t, whole, "", csv)
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.zip")
	write(t, dir, map[string]string{"cut.zip": string(raw[:len(raw)/2])})
	if _, err := Open(cut); err == nil || !strings.Contains(err.Error(), "download complete") {
		t.Errorf("half an archive: %v", err)
	}
}

func TestZipBombAndDamage(t *testing.T) {
	files := maps.Clone(fixtures["ml-1m"].files)
	files["ratings.dat"] = strings.Repeat("\n", 8<<20)
	bomb := filepath.Join(t.TempDir(), "bomb.zip")
	archive(t, bomb, "", files)
	if _, err := Open(bomb); err == nil || !strings.Contains(err.Error(), "archive is refused") {
		t.Errorf("bomb: %v", err)
	}

	// A flipped byte in stored content is found by the archive's checksum.
	damaged := filepath.Join(t.TempDir(), "damaged.zip")
	archive(t, damaged, "", fixtures["ml-1m"].files)
	raw, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(raw, []byte("978302109"))
	raw[i]--
	if err := os.WriteFile(damaged, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(open(t, damaged).Ratings(t.Context(), nil)); !errors.Is(err, zip.ErrChecksum) {
		t.Errorf("damage: %v", err)
	}
}

func TestBadRatingLines(t *testing.T) {
	head := "userId,movieId,rating,timestamp\n1,2,3.0,964982703\n"
	for name, c := range map[string]struct {
		text  string
		line  int64
		field string
	}{
		"another header":     {"user,item\n1,2\n", 1, "header"},
		"a short header":     {"userId,movieId,rating\n1,2,3\n", 1, "header"},
		"three fields":       {head + "1,2,3.0\n", 3, "line"},
		"five fields":        {head + "1,2,3.0,964982703,9\n", 3, "line"},
		"after blank lines":  {head + "\n\r\n1,2,3.0\n", 5, "line"},
		"no user":            {head + ",2,3.0,964982703\n", 3, "user id"},
		"word for a film":    {head + "1,two,3.0,964982703\n", 3, "movie id"},
		"endless id":         {head + "1,2222222222222222222,3.0,964982703\n", 3, "movie id"},
		"rating 5.5":         {head + "1,2,5.5,964982703\n", 3, "rating"},
		"rating 0":           {head + "1,2,0,964982703\n", 3, "rating"},
		"rating negative":    {head + "1,2,-1,964982703\n", 3, "rating"},
		"rating NaN":         {head + "1,2,NaN,964982703\n", 3, "rating"},
		"rating too fine":    {head + "1,2,3.00001,964982703\n", 3, "rating"},
		"rating overflow":    {head + "1,2,18446744073709551617,964982703\n", 3, "rating"},
		"rating cut":         {head + "1,2,3.,964982703\n", 3, "rating"},
		"negative time":      {head + "1,2,3.0,-5\n", 3, "timestamp"},
		"milliseconds":       {head + "1,2,3.0,964982703000\n", 3, "timestamp"},
		"year 2100":          {head + "1,2,3.0,4102444800\n", 3, "timestamp"},
		"cut in the fields":  {head + "1,2,3", 3, "line"},
		"cut in the time":    {head + "1,2,3.0,96498270", 3, "timestamp"},
		"cut before time":    {head + "1,2,3.0,", 3, "timestamp"},
		"endless line":       {head + strings.Repeat("1", 3<<20), 3, "line"},
		"long line":          {head + strings.Repeat("1", 5000) + "\n", 3, "line"},
		"a NUL in the time":  {head + "1,2,3.0,9649\x0082703\n", 3, "timestamp"},
		"a quote in a field": {head + "1\",2,3.0,964982703\n", 3, "line"},
		"an open quote":      {head + "1,2,\"3.0,964982703\n1,2,3.0,964982703\n", 3, "line"},
		"after a quote":      {head + "1,2,\"3.0\"0,964982703\n", 3, "line"},
		"quoted word":        {head + "1,\"two\",3.0,964982703\n", 3, "movie id"},
		"space before field": {head + "1, 2,3.0,964982703\n", 3, "movie id"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"ratings.csv": c.text, "movies.csv": fixtures["csv"].files["movies.csv"]})
			_, err := collect(open(t, dir).Ratings(t.Context(), nil))
			var bad *LineError
			if !errors.As(err, &bad) || bad.Line != c.line || bad.Field != c.field || bad.File != filepath.Join(dir, "ratings.csv") {
				t.Fatalf("error %v, want one about %s in line %d", err, c.field, c.line)
			}
			if bad.Want == "" || len(err.Error()) > 400+len(dir) {
				t.Errorf("message %q says nothing, or too much", err)
			}
			if _, err := collect(open(t, dir).SortedRatings(t.Context(), nil)); !errors.As(err, &bad) {
				t.Errorf("sorted: error %v", err)
			}
		})
	}
	t.Run("limits that hold", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"ratings.csv": head + "1,2,5,0\n1,2,0.0001,4102444799\n1,2,3.500000,964982703", "movies.csv": fixtures["csv"].files["movies.csv"]})
		want := []Rating{{"1", "2", 3, 964982703000, 2}, {"1", "2", 5, 0, 3}, {"1", "2", .0001, 4102444799000, 4}, {"1", "2", 3.5, 964982703000, 5}}
		if got := ratings(t, open(t, dir)); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("single colon", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"ratings.dat": "1:2:3:4\n", "movies.dat": "2::Lamp (1990)::Drama\n"})
		var bad *LineError
		if _, err := collect(open(t, dir).Ratings(t.Context(), nil)); !errors.As(err, &bad) || bad.Field != "line" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("MovieTweetings 11", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"ratings.dat": "1::0000002::11::1364690142\n", "movies.dat": "0000002::Lamp (1990)::Drama\n"})
		var bad *LineError
		if _, err := collect(open(t, dir).Ratings(t.Context(), nil)); !errors.As(err, &bad) || bad.Field != "rating" {
			t.Errorf("error %v", err)
		}
	})
	// A rating that is out of range does not turn ml-1m into MovieTweetings.
	t.Run("ml-1m 9", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"ratings.dat": "1::2::9::978300760\n", "movies.dat": "2::Lamp (1990)::Drama\n"})
		var bad *LineError
		if _, err := collect(open(t, dir).Ratings(t.Context(), nil)); !errors.As(err, &bad) || bad.Field != "rating" {
			t.Errorf("error %v", err)
		}
	})
}

func TestBadMovieLines(t *testing.T) {
	for name, c := range map[string]struct {
		layout, file, text string
		line               int64
		field              string
	}{
		"csv header":     {"csv", "movies.csv", "id,name\n1,Lamp\n", 1, "header"},
		"csv fields":     {"csv", "movies.csv", "movieId,title,genres\n1,Lamp (1990),Drama\n2,Lamp\n", 3, "record"},
		"csv open quote": {"csv", "movies.csv", "movieId,title,genres\n1,\"Lamp (1990),Drama\n", 2, "record"},
		"csv id":         {"csv", "movies.csv", "movieId,title,genres\nx,Lamp,Drama\n", 2, "movieId"},
		"csv no title":   {"csv", "movies.csv", "movieId,title,genres\n1, ,Drama\n", 2, "title"},
		"csv latin-1":    {"csv", "movies.csv", "movieId,title,genres\n1,Caf\xe9,Drama\n", 2, "title"},
		"links number":   {"csv", "links.csv", "movieId,imdbId,tmdbId\n1,12x,\n", 2, "imdbId"},
		"dat fields":     {"ml-1m", "movies.dat", "1::Lamp (1990)::Drama\n2::Lamp (1990)\n", 2, "line"},
		"dat id":         {"ml-1m", "movies.dat", "one::Lamp (1990)::Drama\n", 1, "movie id"},
		"item fields":    {"ml-100k", "u.item", "2|Lamp (1995)|01-Jan-1995||0|1\n", 1, "line"},
		"item flag":      {"ml-100k", "u.item", "2|Lamp|||" + strings.Repeat("|0", 18) + "|7\n", 1, "genre flag Western"},
		"genre order":    {"ml-100k", "u.genre", "unknown|0\nAction|2\n", 2, "genre"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(fixtures[c.layout].files)
			files[c.file] = c.text
			dir := t.TempDir()
			write(t, dir, files)
			_, err := collect(open(t, dir).Movies(t.Context()))
			var bad *LineError
			if !errors.As(err, &bad) || bad.Line != c.line || !strings.HasPrefix(bad.Field, c.field) || bad.File != filepath.Join(dir, c.file) {
				t.Errorf("error %v, want one about %s in line %d", err, c.field, c.line)
			}
		})
	}
}

func TestTitles(t *testing.T) {
	for raw, want := range map[string]struct {
		title string
		year  int
	}{
		"Lantern, The (1999)":                        {"The Lantern", 1999},
		"Lantern, An (1999) ":                        {"An Lantern", 1999},
		"Eau Vive, L' (1934)":                        {"L'Eau Vive", 1934},
		"Town, The (Ville, La) (1995)":               {"The Town (La Ville)", 1995},
		"Town (a.k.a. Other Town, The) (Ort) (1995)": {"Town (a.k.a. The Other Town) (Ort)", 1995},
		"Me, Myself, I (2000)":                       {"Me, Myself, I", 2000},
		"Series (2006–2007)":                         {"Series", 2006},
		"Series (2006-)":                             {"Series", 2006},
		"Nowhere":                                    {"Nowhere", 0},
		"1984 (1956)":                                {"1984", 1956},
		"(1956)":                                     {"(1956)", 0},
		"Room (101)":                                 {"Room (101)", 0},
		"Room (12345)":                               {"Room (12345)", 0},
		"Open (Bracket, The":                         {"Open (Bracket, The", 0},
		", The (1990)":                               {", The", 1990},
	} {
		title, year := splitYear(raw)
		if title = naturalTitle(title); title != want.title || year != want.year {
			t.Errorf("%q: %q, %d; want %q, %d", raw, title, year, want.title, want.year)
		}
	}
}

func TestNormaliseGenres(t *testing.T) {
	got := NormaliseGenres([]string{" Science Fiction", "Sci-Fi", "Children's", "unknown", "", "Film Noir", "N/A"})
	if want := []string{"Sci-Fi", "Children", "Film-Noir"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := NormaliseGenres([]string{"(no genres listed)"}); got != nil {
		t.Errorf("none: %q", got)
	}
}

func TestSortedRatings(t *testing.T) {
	if size := reflect.TypeFor[row]().Size(); size > 20 {
		t.Errorf("a row takes %d bytes", size)
	}
	// Spread times, users and films so that ties of every kind occur, with two spellings of one id.
	var text strings.Builder
	for i := range 50_000 {
		x := uint32(i) * 2654435761
		span := []uint32{4000, 400_000_000}[i%2]
		fmt.Fprintf(&text, "%d\t%02d\t%d\t%d\n", x>>8%97, x>>16%31, 1+x>>5%5, 880000000+x>>3%span)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"u.data": text.String(), "u.item": fixtures["ml-100k"].files["u.item"]})
	s := open(t, dir)
	want := ratings(t, s)
	slices.SortFunc(want, func(a, b Rating) int {
		return cmp.Or(cmp.Compare(a.TimeMillis, b.TimeMillis), strings.Compare(a.UserID, b.UserID),
			strings.Compare(a.MovieID, b.MovieID), cmp.Compare(a.Line, b.Line))
	})
	var at []Progress
	got, err := collect(s.SortedRatings(t.Context(), func(p Progress) { at = append(at, p) }))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("order or content differs from a plain sort of Ratings")
	}
	size := int64(text.Len())
	if end := at[len(at)-1]; end != (Progress{size, size, 50_000}) {
		t.Errorf("progress ends at %+v, want %d bytes and 50000 rows", end, size)
	}
	for range s.SortedRatings(t.Context(), nil) {
		break // must not panic or go on
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collect(s.SortedRatings(ctx, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := collect(s.Ratings(ctx, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRealData(t *testing.T) {
	for _, c := range []struct {
		folder, name                     string
		ratings, users, movies, withYear int
	}{
		{"movietweetings-100k", "movietweetings", 100_000, 16_554, 10_506, 10_506},
		{"ml-latest-small", "ml-latest-small", 100_836, 610, 9_742, 9_742 - 12},
	} {
		t.Run(c.folder, func(t *testing.T) {
			dir := realdata.Path(t, c.folder)
			s := open(t, dir)
			if s.Name != c.name {
				t.Errorf("name %s", s.Name)
			}
			films, years := map[string]bool{}, 0
			for _, m := range movies(t, s) {
				films[m.ID] = true
				if m.Year > 0 {
					years++
				}
				if strings.HasSuffix(m.Title, ", The") || strings.Contains(m.Title, "\ufffd") || m.IMDbID == "" {
					t.Errorf("%+v", m)
				}
			}
			users := map[string]bool{}
			all := ratings(t, s)
			for _, r := range all {
				users[r.UserID] = true
				if !films[r.MovieID] || r.Rating < .5 || r.Rating > 5 {
					t.Fatalf("%+v", r)
				}
			}
			if len(all) != c.ratings || len(users) != c.users || len(films) != c.movies || years != c.withYear {
				t.Errorf("%d ratings, %d users, %d films, %d with a year; want %+v", len(all), len(users), len(films), years, c)
			}
			sorted, err := collect(s.SortedRatings(t.Context(), nil))
			if err != nil || len(sorted) != len(all) {
				t.Fatalf("%d sorted, %v", len(sorted), err)
			}
			if !slices.IsSortedFunc(sorted, func(a, b Rating) int { return cmp.Compare(a.TimeMillis, b.TimeMillis) }) {
				t.Error("not sorted by time")
			}
		})
	}
}

// FuzzRatings looks for input that panics, or that passes though it is out of range.
func FuzzRatings(f *testing.F) {
	for _, x := range fixtures {
		for _, name := range []string{"ratings.csv", "ratings.dat", "u.data"} {
			f.Add([]byte(x.files[name]))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, sep := range []string{",", "::", "\t"} {
			p := rowParser{split: splitter{sep: []byte(sep), quotes: sep == ","}, users: newInterner(strings.ToLower), movies: newInterner(strings.ToLower), tweets: sep == "::"}
			for line := range bytes.Lines(raw) {
				r, bad := p.parse(line, nil)
				if bad == nil && (r.units == 0 || r.units > ratingUnitsMax || int64(r.seconds) >= secondsMax) {
					t.Errorf("%q passes as %+v", line, r)
				}
			}
		}
	})
}

func BenchmarkRatings(b *testing.B) {
	const rows = 1_000_000
	var text bytes.Buffer
	text.WriteString("userId,movieId,rating,timestamp\n")
	for i := range rows {
		x := uint32(i) * 2654435761
		half := x>>27%10 + 1
		fmt.Fprintf(&text, "%d,%d,%d.%d,%d\n", i/160+1, x>>8%84432+1, half/2, half%2*5, 880000000+x>>3)
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ratings.csv"), text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "movies.csv"), []byte(fixtures["csv"].files["movies.csv"]), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, pass func() int) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n := pass(); n != rows {
					b.Fatalf("%d rows", n)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	run("file", func() (n int) {
		for _, err := range s.Ratings(b.Context(), nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		return n
	})
	run("sorted", func() (n int) {
		for _, err := range s.SortedRatings(b.Context(), nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		return n
	})
}

func open(t *testing.T, path string) *Set {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func collect[T any](seq func(func(T, error) bool)) (all []T, err error) {
	for x, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, x)
	}
	return all, nil
}

func movies(t *testing.T, s *Set) []Movie {
	t.Helper()
	all, err := collect(s.Movies(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func ratings(t *testing.T, s *Set) []Rating {
	t.Helper()
	all, err := collect(s.Ratings(t.Context(), nil))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func archive(t *testing.T, path, prefix string, files map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: prefix + name}
		if len(files[name]) > 1<<10 {
			h.Method = zip.Deflate
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
