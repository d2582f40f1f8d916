package dataset

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Layout is how a data set is laid out in files.
type Layout string

const (
	LayoutCSV            Layout = "movielens-csv"  // ratings.csv, movies.csv, links.csv: latest, 20m, 25m, 32m
	LayoutDat            Layout = "movielens-dat"  // ratings.dat, movies.dat, users.dat with "::": 1m, 10m
	LayoutUData          Layout = "movielens-data" // u.data, u.item, u.genre, u.user: 100k
	LayoutMovieTweetings Layout = "movietweetings" // ratings.dat, movies.dat with "::", IMDb ids, ratings 0–10
	LayoutTable          Layout = "csv"            // one csv file of ratings, see OpenCSV
)

const (
	// ratingBytesMax bounds the ratings file: twenty times that of ml-32m (0.9 GB).
	ratingBytesMax = 20 << 30
	// movieBytesMax bounds the other files, whose films are held in memory; that of ml-32m has 4 MB.
	movieBytesMax = 256 << 20
	// zipRatioMax bounds how far an archived file may unpack. Rating files shrink about five times,
	// Deflate's utmost is some thousand times.
	zipRatioMax = 200
	// depthMax is how many folders may lie around the files: a repository's archive has two
	// (MovieTweetings-master/latest).
	depthMax = 2
	// entriesMax bounds the search for the files, in a home folder given by mistake for instance.
	entriesMax = 20_000
	// blockBytes is the read buffer and the step of progress reports.
	blockBytes = 1 << 20
)

// files are the names of a layout's files. Ratings and films are needed; "" is none.
type files struct{ ratings, movies, links, genres, users string }

// layouts are looked for in this order. LayoutMovieTweetings has the names of LayoutDat.
var layouts = []struct {
	Layout
	files
}{
	{LayoutCSV, files{ratings: "ratings.csv", movies: "movies.csv", links: "links.csv"}},
	{LayoutDat, files{ratings: "ratings.dat", movies: "movies.dat", users: "users.dat"}},
	{LayoutUData, files{ratings: "u.data", movies: "u.item", genres: "u.genre", users: "u.user"}},
}

// Set is an open data set. Its methods may be called more than once; each opens the files anew.
type Set struct {
	// Name is the publisher's name for it, such as "ml-latest-small" or "movietweetings", as far as
	// the folder or archive tells it, else "movielens".
	Name   string
	Layout Layout
	// Latest is the last moment that a rating may be of; the zero time is no bound.
	Latest time.Time
	files
	table *table // of LayoutTable

	fsys   fs.FS
	dir    string // inside fsys
	root   string // as the caller named it, for messages
	closer io.Closer

	digestMu sync.Mutex // over digest
	digest   string
}

// Open finds and identifies the data set at path: a folder that holds it, a folder that holds one
// such folder, or a .zip of either. The caller closes it.
//
// It fails where there is none, more than one, or where a file that belongs to the layout is missing,
// empty, or no regular file: reading from a pipe or a device might never end.
func Open(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	s := &Set{root: path}
	switch {
	case info.IsDir():
		s.fsys = os.DirFS(path)
	case !info.Mode().IsRegular():
		return nil, irregular(path, info)
	case !strings.EqualFold(filepath.Ext(path), ".zip"):
		return nil, fmt.Errorf("dataset: %s is neither a folder nor a .zip: give the folder that holds the ratings, or say what the columns of a csv file are", path)
	default:
		z, err := zip.OpenReader(path)
		if err != nil {
			return nil, fmt.Errorf("dataset: %s cannot be read as a zip archive (%w): is the download complete?", path, err)
		}
		s.fsys, s.closer = &z.Reader, z
	}
	if err := s.identify(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// irregular is the error about a file that is none: a pipe, a device, a socket.
func irregular(path string, info fs.FileInfo) error {
	what := "a device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeSymlink != 0:
		what = "a link"
	}
	return fmt.Errorf("dataset: %s is %s, not a regular file: copy what it holds into one", path, what)
}

// Close releases the archive. It may be called twice.
func (s *Set) Close() error {
	if s.closer == nil {
		return nil
	}
	c := s.closer
	s.closer = nil
	return c.Close()
}

// Source is the CloudEvents source of facts taken from the set.
func (s *Set) Source() string {
	switch s.Layout {
	case LayoutMovieTweetings:
		return "/import/movietweetings"
	case LayoutTable:
		return "/import/csv"
	}
	return "/import/movielens"
}

// kind is the value of [Movie.Source].
func (s *Set) kind() string { return strings.TrimPrefix(s.Source(), "/import/") }

func (s *Set) identify() error {
	dir, err := s.find()
	if err != nil {
		return err
	}
	s.dir = dir
	for _, l := range layouts {
		if _, err := fs.Stat(s.fsys, path.Join(dir, l.ratings)); err == nil {
			s.Layout, s.files = l.Layout, l.files
			break
		}
	}
	if err := s.need(s.ratings); err != nil {
		return err
	}
	if err := s.need(s.movies); err != nil {
		return err
	}
	for _, name := range []*string{&s.links, &s.genres, &s.users} {
		there, err := s.regular(*name)
		if err != nil {
			return err
		}
		if !there {
			*name = ""
		}
	}
	if s.Layout == LayoutDat {
		tweets, err := s.sniffMovieTweetings()
		if err != nil {
			return err
		}
		if tweets {
			s.Layout, s.users = LayoutMovieTweetings, "" // its users.dat has names of accounts
		}
	}
	s.Name = s.name()
	return nil
}

// need says what is wrong with a file that the layout cannot do without.
func (s *Set) need(name string) error {
	there, err := s.regular(name)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("dataset: %s holds %s but not %s, which the layout needs", s.where(), s.ratings, name)
	}
	empty, err := s.empty(name)
	if err != nil {
		return err
	}
	if empty {
		return fmt.Errorf("dataset: %s is empty, or has no row behind its header: is the download complete?", s.file(name))
	}
	return nil
}

// regular says whether there is a file of the name, "" being none, and fails where it is something else.
func (s *Set) regular(name string) (bool, error) {
	if name == "" {
		return false, nil
	}
	info, err := fs.Stat(s.fsys, path.Join(s.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("dataset: %s: %w", s.file(name), err)
	case !info.Mode().IsRegular():
		return false, irregular(s.file(name), info)
	}
	return true, nil
}

// empty says whether a file has no row: nothing but blank lines, and in a csv the header.
func (s *Set) empty(name string) (bool, error) {
	f, _, err := s.open(name, ratingBytesMax)
	if err != nil {
		return false, err
	}
	defer f.Close()
	in := newRecords(io.LimitReader(f, blockBytes), s.comma())
	for rows := 0; ; rows++ {
		_, err := in.next()
		switch {
		case err == io.EOF:
			return in.read < blockBytes, nil // what follows, reading it will tell
		case err != nil && !passable(err):
			return false, fmt.Errorf("dataset: %s: %w", s.file(name), err)
		case rows > 0 || s.Layout != LayoutCSV && (s.Layout != LayoutTable || s.table.numbered()):
			return false, nil
		}
	}
}

// comma parts the fields of a csv; 0 is for layouts in which a quote is a character as any.
func (s *Set) comma() byte {
	switch s.Layout {
	case LayoutCSV:
		return ','
	case LayoutTable:
		return s.table.sep
	}
	return 0
}

// find returns the one folder, nearest to the top, that holds a ratings file.
func (s *Set) find() (string, error) {
	level, entries := []string{"."}, 0
	for depth := 0; depth <= depthMax; depth++ {
		var found, next []string
		for _, dir := range level {
			list, err := fs.ReadDir(s.fsys, dir)
			if err != nil {
				if depth > 0 && errors.Is(err, fs.ErrPermission) {
					continue
				}
				return "", fmt.Errorf("dataset: %s: %w", s.root, err)
			}
			if entries += len(list); entries > entriesMax {
				return "", fmt.Errorf("dataset: %s holds more than %d files: give the data set's own folder", s.root, entriesMax)
			}
			hit := false
			for _, e := range list {
				name := e.Name()
				for _, l := range layouts {
					hit = hit || name == l.ratings && !e.IsDir()
				}
				if !strings.HasPrefix(name, ".") && name != "__MACOSX" {
					if info, err := fs.Stat(s.fsys, path.Join(dir, name)); err == nil && info.IsDir() {
						next = append(next, path.Join(dir, name))
					}
				}
			}
			if hit {
				found = append(found, dir)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return "", fmt.Errorf("dataset: %s holds several data sets (%s): name one of them", s.root, strings.Join(found, ", "))
		}
		level = next
	}
	return "", fmt.Errorf("dataset: no %s, %s or %s in %s or in the folders right below: it is not a MovieLens or MovieTweetings data set",
		layouts[0].ratings, layouts[1].ratings, layouts[2].ratings, s.root)
}

// sniffMovieTweetings tells MovieTweetings from ml-1m and ml-10m, which use the same file names. IMDb ids
// have seven digits and more, padded with zeros; MovieLens' .dat ids end at 65133 and are not padded.
// Where there are no films to tell, a rating above 5 does.
func (s *Set) sniffMovieTweetings() (bool, error) {
	long, all := 0, 0
	err := s.eachRecord(context.Background(), s.movies, movieBytesMax, func(_ *records, text []byte, _ *LineError) bool {
		if id, _, ok := bytes.Cut(text, []byte("::")); ok {
			all++
			if len(id) >= 7 {
				long++
			}
		}
		return true
	})
	if err != nil {
		return false, err
	}
	if all > 0 {
		return 2*long > all, nil
	}
	f, _, err := s.open(s.ratings, ratingBytesMax)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("dataset: %s: %w", s.file(s.ratings), err)
	}
	for line := range bytes.Lines(head[:n]) {
		parts := bytes.Split(line, []byte("::"))
		if len(parts) == 4 && (len(parts[1]) >= 7 || len(parts[2]) == 2 || len(parts[2]) == 1 && parts[2][0] > '5') {
			return true, nil
		}
	}
	return false, nil
}

func (s *Set) name() string {
	switch s.Layout {
	case LayoutMovieTweetings:
		return "movietweetings"
	case LayoutUData:
		return "ml-100k"
	}
	abs, err := filepath.Abs(s.root)
	if err != nil {
		abs = s.root
	}
	base := strings.ToLower(filepath.Base(abs))
	for _, n := range []string{strings.ToLower(path.Base(s.dir)), strings.TrimSuffix(base, ".zip")} {
		if n == "ml-10m100k" {
			return "ml-10m"
		}
		if strings.HasPrefix(n, "ml-") {
			return n
		}
	}
	return "movielens"
}

// where and file name a folder or file for messages, relative to what the caller gave.
func (s *Set) where() string { return path.Join(s.root, s.dir) }

func (s *Set) file(name string) string { return path.Join(s.root, s.dir, name) }

// open returns the file and its size in bytes, after the bounds against archives that unpack without end.
func (s *Set) open(name string, bytesMax int64) (io.ReadCloser, int64, error) {
	if there, err := s.regular(name); err != nil || !there { // before it is opened, which a pipe may never be
		return nil, 0, cmp.Or(err, fmt.Errorf("dataset: %s is gone", s.file(name)))
	}
	f, err := s.fsys.Open(path.Join(s.dir, name))
	if err != nil {
		return nil, 0, fmt.Errorf("dataset: %s: %w", s.file(name), err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("dataset: %s: %w", s.file(name), err)
	}
	size := info.Size()
	if size < 0 || size > bytesMax {
		f.Close()
		return nil, 0, fmt.Errorf("dataset: %s has %d bytes, more than the %d that are read", s.file(name), size, bytesMax)
	}
	if h, ok := info.Sys().(*zip.FileHeader); ok && h.UncompressedSize64/zipRatioMax > h.CompressedSize64 {
		f.Close()
		return nil, 0, fmt.Errorf("dataset: %s unpacks to more than %d times its archived size: the archive is refused", s.file(name), zipRatioMax)
	}
	// A header may lie about the size: nothing beyond it is read.
	return &boundedFile{f: f, left: size, name: s.file(name)}, size, nil
}

type boundedFile struct {
	f    fs.File
	left int64
	name string
}

func (b *boundedFile) Read(p []byte) (int, error) {
	n, err := b.f.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%s grew beyond the size it was opened with", b.name)
	}
	return n, err
}

func (b *boundedFile) Close() error { return b.f.Close() }

// Digest is the SHA-256, in hexadecimal, over names and contents of the files that are used: the same
// for a folder and for an archive of it. The first call reads all of them.
func (s *Set) Digest(ctx context.Context) (string, error) {
	s.digestMu.Lock()
	defer s.digestMu.Unlock()
	if s.digest != "" {
		return s.digest, nil
	}
	whole := sha256.New()
	buf := make([]byte, blockBytes)
	for _, name := range []string{s.ratings, s.movies, s.links, s.genres, s.users} {
		if name == "" {
			continue
		}
		f, _, err := s.open(name, ratingBytesMax)
		if err != nil {
			return "", err
		}
		one := sha256.New()
		_, err = io.CopyBuffer(one, contextReader{ctx, f}, buf)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("dataset: %s: %w", s.file(name), err)
		}
		if s.table != nil { // read otherwise, the same file is another data set
			name = s.table.String()
		}
		fmt.Fprintf(whole, "%s %x\n", name, one.Sum(nil))
	}
	s.digest = hex.EncodeToString(whole.Sum(nil))
	return s.digest, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
