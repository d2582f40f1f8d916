package dataset

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	ratingsHead = "userId,movieId,rating,timestamp\n"
	moviesHead  = "movieId,title,genres\n"
)

// folder is a data set of the csv layout; what is "" is the files' own default.
func folder(t *testing.T, ratings, movies, links string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"ratings.csv": ratingsHead + "1,2,3.0,964982703\n", "movies.csv": moviesHead + "2,Lamp (1990),Drama\n"}
	for name, text := range map[string]string{"ratings.csv": ratings, "movies.csv": movies, "links.csv": links} {
		if text != "" {
			files[name] = text
		}
	}
	write(t, dir, files)
	return dir
}

// A film may stand on two lines: in every layout the last one counts, and the film once.
func TestLastLineOfAFilmWins(t *testing.T) {
	for layout, c := range map[string]struct{ file, lines string }{
		"csv":            {"movies.csv", moviesHead + "1,Old (1990),Drama\n3,Other (1991),War\n0001,New (1992),Comedy\n"},
		"ml-1m":          {"movies.dat", "1::Old (1990)::Drama\n3::Other (1991)::War\n0001::New (1992)::Comedy\n"},
		"movietweetings": {"movies.dat", "0000001::Old (1990)::Drama\n0000003::Other (1991)::War\n0000001::New (1992)::Comedy\n"},
		"ml-100k": {"u.item", "1|Old (1990)|||" + strings.Repeat("|0", 19) + "\n3|Other (1991)|||" + strings.Repeat("|0", 19) +
			"\n1|New (1992)|||" + strings.Repeat("|0", 19) + "\n"},
	} {
		t.Run(layout, func(t *testing.T) {
			files := maps.Clone(fixtures[layout].files)
			files[c.file] = c.lines
			dir := t.TempDir()
			write(t, dir, files)
			var got []string
			for _, m := range movies(t, open(t, dir)) {
				got = append(got, fmt.Sprintf("%s %s %d", m.ID, m.Title, m.Year))
			}
			slices.Sort(got)
			if want := []string{"1 New 1992", "3 Other 1991"}; !slices.Equal(got, want) {
				t.Errorf("films %q, want %q", got, want)
			}
		})
	}
}

// A file with nothing in it is a download that was cut off, not a data set without films.
func TestEmptyFiles(t *testing.T) {
	for layout, heads := range map[string]map[string]string{
		"csv":            {"movies.csv": moviesHead, "ratings.csv": ratingsHead},
		"ml-1m":          {"movies.dat": "\r\n", "ratings.dat": "\n\n"},
		"ml-100k":        {"u.item": "\n", "u.data": "\n"},
		"movietweetings": {"movies.dat": "\n", "ratings.dat": "\n"},
	} {
		for file, head := range heads {
			for name, text := range map[string]string{"0 bytes": "", "no row": head, "a mark": "\xef\xbb\xbf"} {
				t.Run(layout+"/"+file+"/"+name, func(t *testing.T) {
					files := maps.Clone(fixtures[layout].files)
					files[file] = text
					dir := t.TempDir()
					write(t, dir, files)
					_, err := Open(dir)
					if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, file)) || !strings.Contains(err.Error(), "empty") {
						t.Errorf("error %v, want one that names %s", err, file)
					}
				})
			}
		}
	}
}

// ml-1m is said to be Latin-1, and is Windows-1252, as is what became of it on the way through UTF-8.
func TestWindows1252(t *testing.T) {
	for name, c := range map[string]struct{ text, title string }{
		"dash and quotes in a .dat":  {"1::\x93Lamp\x94 \x96 Caf\xe9\x85 (1990)::Drama\n", "“Lamp” – Café…"},
		"the same through UTF-8":     {"1::Lamp \u0096 Café\u0085 (1990)::Drama\n", "Lamp – Café…"},
		"one line of another coding": {"1::Café \u2013 Lamp (1990)::Drama\n2::Caf\xe9 (1991)::Drama\n", "Café – Lamp"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"movies.dat": c.text, "ratings.dat": fixtures["ml-1m"].files["ratings.dat"]})
			if got := movies(t, open(t, dir)); got[0].Title != c.title {
				t.Errorf("%q, want %q", got[0].Title, c.title)
			}
		})
	}
	dir := folder(t, "", moviesHead+"1,Lamp \u0096 Night (1990),Drama\n", "")
	if got := movies(t, open(t, dir)); got[0].Title != "Lamp – Night" {
		t.Errorf("csv: %q", got[0].Title)
	}
}

// What the log would not take of a film is said with its file and line.
func TestFilmsTheLogWouldRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		layout, file, text string
		line               int64
		says               string
	}{
		"line break":          {"csv", "movies.csv", moviesHead + "1,Lamp,War\n2,\"Lamp\nNight (1990)\",Drama\n", 3, "control character U+000A"},
		"tab":                 {"csv", "movies.csv", moviesHead + "2,Lamp\tNight,Drama\n", 2, "control character U+0009"},
		"byte without a sign": {"ml-1m", "movies.dat", "2::Lamp \x81 (1990)::Drama\n", 1, "control character U+0081"},
		"long title":          {"ml-1m", "movies.dat", "2::" + strings.Repeat("x", 1025) + "::Drama\n", 1, "1025 bytes"},
		"long genre":          {"csv", "movies.csv", moviesHead + "2,Lamp," + strings.Repeat("x", 257) + "\n", 2, "genres[0]"},
		"genres without end":  {"csv", "movies.csv", moviesHead + "2,Lamp,a" + many(257) + "\n", 2, "257 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(fixtures[c.layout].files)
			files[c.file] = c.text
			dir := t.TempDir()
			write(t, dir, files)
			_, err := collect(open(t, dir).Movies(t.Context()))
			var bad *LineError
			if !errors.As(err, &bad) || bad.File != filepath.Join(dir, c.file) || bad.Line != c.line || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want line %d, %s", err, c.line, c.says)
			}
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&b, "|g%d", i)
	}
	return b.String()
}

// Every csv may be quoted as RFC 4180 has it, and end in blank lines.
func TestQuotingAndBlankLines(t *testing.T) {
	dir := folder(t, "\xef\xbb\xbf\"userId\",\"movieId\",\"rating\",\"timestamp\"\r\n\r\n\"7\",\"1\",\"4.5\",\"964982703\"\r\n7,\"2\",0.5,964982700\n\n\n",
		"\"movieId\",\"title\",\"genres\"\n\n\"1\",\"Lamp, \"\"The\"\" (1990)\",\"Drama\"\n2,Night,\"War\"\n\n\n",
		"\"movieId\",\"imdbId\",\"tmdbId\"\n\n1,\"0114709\",\"862\"\n\n")
	s := open(t, dir)
	want := []Movie{{ID: "1", Title: "Lamp, \"The\"", Year: 1990, Genres: []string{"Drama"}, IMDbID: "tt0114709", TMDBID: "862", Source: "movielens"},
		{ID: "2", Title: "Night", Genres: []string{"War"}, Source: "movielens"}}
	if got := movies(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("films %+v, want %+v", got, want)
	}
	if got, want := ratings(t, s), []Rating{{"7", "1", 4.5, 964982703000, 3}, {"7", "2", .5, 964982700000, 4}}; !slices.Equal(got, want) {
		t.Errorf("ratings %v, want %v", got, want)
	}
	for layout, file := range map[string]string{"ml-1m": "ratings.dat", "ml-100k": "u.data"} {
		files := maps.Clone(fixtures[layout].files)
		files[file] = "\n" + strings.TrimSpace(files[file]) + "\r\n\n\n"
		dir := t.TempDir()
		write(t, dir, files)
		if got := ratings(t, open(t, dir)); len(got) != len(fixtures[layout].ratings) || got[0].Line != 2 {
			t.Errorf("%s: %v", layout, got)
		}
	}
}

// IMDb's ids are "tt" and digits, however the links spell them; what is none is refused with its line.
func TestLinks(t *testing.T) {
	for text, want := range map[string]string{"0111161": "tt0111161", "tt0111161": "tt0111161", "111161": "tt0111161", " tt0111161  ": "tt0111161", "": "", "0": "", "tt10872600": "tt10872600"} {
		got := movies(t, open(t, folder(t, "", "", "movieId,imdbId,tmdbId\n2,"+text+",862\n")))
		if got[0].IMDbID != want || got[0].TMDBID != "862" {
			t.Errorf("%q: %q, %q", text, got[0].IMDbID, got[0].TMDBID)
		}
	}
	for _, text := range []string{"tt", "nm0000001", "tt12x", "-1"} {
		_, err := collect(open(t, folder(t, "", "", "movieId,imdbId,tmdbId\n2,"+text+",862\n")).Movies(t.Context()))
		var bad *LineError
		if !errors.As(err, &bad) || bad.Line != 2 || bad.Field != "imdbId" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Nothing but files and folders is opened: a pipe or a device may never end.
func TestOnlyRegularFiles(t *testing.T) {
	base := folder(t, "", "", "")
	refused := func(name, path, file string) {
		t.Helper()
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: error %v, want one that names %s", name, err, file)
		}
	}
	pipe := filepath.Join(t.TempDir(), "data.zip")
	makePipe(t, pipe)
	refused("a pipe", pipe, pipe)
	link := filepath.Join(t.TempDir(), "link.zip")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	refused("a link to a pipe", link, link)
	refused("a device", os.DevNull, os.DevNull)

	for _, file := range []string{"ratings.csv", "movies.csv", "links.csv"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, file)) //nolint:errcheck // links.csv is not there
		if err := os.Symlink(pipe, filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		refused("a link inside the folder", dir, filepath.Join(dir, file))
	}

	// One that takes a file's place after the set was opened.
	s := open(t, base)
	if err := os.Remove(filepath.Join(base, "ratings.csv")); err != nil {
		t.Fatal(err)
	}
	makePipe(t, filepath.Join(base, "ratings.csv"))
	if _, err := collect(s.Ratings(t.Context(), nil)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe in the place of the ratings: %v", err)
	}

	// An archive has kinds of files too.
	packed := filepath.Join(t.TempDir(), "packed.zip")
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, mode := range map[string]fs.FileMode{"ratings.csv": fs.ModeNamedPipe | 0o600, "movies.csv": 0o600} {
		h := &zip.FileHeader{Name: name}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(moviesHead + "2,Lamp,Drama\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	refused("a pipe in an archive", packed, "ratings.csv")
}

// FuzzRecords compares with encoding/csv: whatever that reads whole, records gives the same of, line by line.
func FuzzRecords(f *testing.F) {
	for _, text := range []string{"a,b\n\n1,\"2\n3\"\r\n", "\"a\"\"b\",c", "a\"b,c\n1,2\n", "\"a\n1,2\n\n", "\"a\"b\n", ",\"\",\n", "\r\n\"\r\"\r\n", "\"" + strings.Repeat("x\n", 9000) + "\"\n1\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bytes.HasPrefix(raw, []byte(utf8BOM)) || bytes.Count(raw, []byte("\r")) != bytes.Count(raw, []byte("\r\n")) {
			return // a carriage return alone is no line end, and not worth two ways to cut it off
		}
		theirs := csv.NewReader(bytes.NewReader(raw))
		theirs.FieldsPerRecord = -1
		want, err := theirs.ReadAll()
		whole := err == nil
		in, split := newRecords(bytes.NewReader(raw), ','), splitter{sep: []byte(","), quotes: true}
		var got [][]string
		for before := int64(0); ; before = in.lines {
			text, err := in.next()
			if err == io.EOF {
				break
			}
			if in.line <= before || in.lines < in.line {
				t.Fatalf("line %d after %d", in.line, before)
			}
			var fields [][]byte
			if err == nil {
				fields, err = split.split(text)
			}
			if err != nil {
				if whole || !passable(err) {
					t.Fatalf("line %d: %v", in.line, err)
				}
				continue
			}
			var record []string
			for _, field := range fields {
				record = append(record, string(field))
			}
			got = append(got, record)
		}
		if whole && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if in.read != int64(len(raw)) {
			t.Errorf("%d bytes of %d are counted", in.read, len(raw))
		}
	})
}
