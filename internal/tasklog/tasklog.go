// Package tasklog keeps what is said of the tries of tasks while they are worked on: lines in files, so that a process that
// is killed loses none, and bounded, whatever a task says. What a log comes to is read with [Folder.Tail], and kept elsewhere.
//
// A log that is young and small is in memory, and in a journal that all such logs share, for many tries last a moment, and files cost more than they do.
//
// A log's folder holds pieces, NUMBER-FIRSTLINE, of which the first is headed by a line that says whose log it is. The first
// piece and the last two stay: where others were between them the number of the next one's first line tells how many lines.
package tasklog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Bounds of a log.
const (
	// LineBytesMax is where a line is cut: longer ones are data, not words.
	LineBytesMax = 8 << 10
	// HeadBytesMax is how much of a log's beginning stays, and TailBytesMax the size of each of the last two pieces.
	HeadBytesMax = 2 << 20
	TailBytesMax = 1 << 20
	// youngest is how long, and youngBytesMax how large, a log has no files of its own, and closedYoungest how long one that is closed.
	youngest       = time.Second
	closedYoungest = 5 * time.Second
	youngBytesMax  = 16 << 10
)

// TimeForm is how a line begins: UTC, and of one width, so that lines compare as their times do.
const TimeForm = "2006-01-02T15:04:05.000Z"

// ID says whose log it is.
type ID struct {
	Run  string `json:"run"`
	Task string `json:"task"`
	Try  int    `json:"try"`
}

// name is that of the log's folder.
func (id ID) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", id.Run, id.Task, id.Try))
	return hex.EncodeToString(sum[:16])
}

// Folder holds the logs of tries that are worked on here, and those of a process that was killed. It is safe for concurrent
// use, by one process.
type Folder struct {
	dir string
	// Mask takes out of a text what may not be in a log; nil takes out nothing.
	Mask func(string) string

	journal *journal

	mu      sync.Mutex
	writing map[string]bool
	own     map[string]*Writer // of this process, until they are removed
	held    map[string]int     // by readers
	removed map[string]bool    // when nobody holds them any more
}

// Open makes the folder if it is not there.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the folder of tasks' logs cannot be made")
	}
	if err := unfold(dir); err != nil {
		return nil, err
	}
	j, err := openJournal(dir)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the journal of tasks' logs cannot be made")
	}
	return &Folder{dir: dir, journal: j, writing: map[string]bool{}, own: map[string]*Writer{}, held: map[string]int{}, removed: map[string]bool{}}, nil
}

// Writing says whether this process writes the log now.
func (f *Folder) Writing(id ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writing[id.name()]
}

// Has says whether the log is here.
func (f *Folder) Has(id ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.has(id.name())
}

func (f *Folder) has(name string) bool {
	if w := f.own[name]; w != nil && w.isYoung() {
		return !f.removed[name]
	}
	_, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil && !f.removed[name]
}

// Hold keeps a log here, if it is, until release is called.
func (f *Folder) Hold(id ID) (release func(), ok bool) {
	name := id.name()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.has(name) {
		return nil, false
	}
	f.held[name]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.held[name]--; f.held[name] > 0 {
			return
		}
		delete(f.held, name)
		if f.removed[name] {
			delete(f.removed, name)
			f.remove(name) //nolint:errcheck // else it is found at the next start
		}
	}, true
}

// Remove removes a log, when those who read it have let go of it.
func (f *Folder) Remove(id ID) error {
	name := id.name()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[name] > 0 {
		f.removed[name] = true
		return nil
	}
	return f.remove(name)
}

func (f *Folder) remove(name string) error {
	w := f.own[name]
	if delete(f.own, name); w != nil && w.isYoung() {
		w.aging.Stop()
		return f.journal.end(name)
	}
	return os.RemoveAll(filepath.Join(f.dir, name))
}

// Leftover are the logs that nobody writes: of a process that was killed, or that could not be kept. What says not whose it
// is, is removed.
func (f *Folder) Leftover() (all []ID, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the folder of tasks' logs cannot be read")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		if !e.IsDir() || f.writing[e.Name()] || f.removed[e.Name()] {
			continue
		}
		id, err := f.whose(e.Name())
		if err != nil {
			os.RemoveAll(filepath.Join(f.dir, e.Name())) //nolint:errcheck // else it is found at the next start
			continue
		}
		all = append(all, id)
	}
	return all, nil
}

// whose reads the head of a log.
func (f *Folder) whose(name string) (id ID, err error) {
	file, err := os.Open(filepath.Join(f.dir, name, pieceName(0, 0)))
	if err != nil {
		return id, err
	}
	defer file.Close() //nolint:errcheck // read only
	line, err := bufio.NewReader(io.LimitReader(file, LineBytesMax)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &id)
	}
	if err == nil && id.name() != name {
		err = errors.New("it is another's")
	}
	return id, err
}

// piece is one file of a log, or what will be its first.
type piece struct {
	number int
	first  int64 // number of its first line
	path   string
	young  []byte // what it has, where it is no file yet
}

func (p *piece) open() (io.ReadSeekCloser, error) {
	if p.young != nil {
		return struct {
			io.ReadSeeker
			io.Closer
		}{bytes.NewReader(p.young), io.NopCloser(nil)}, nil
	}
	return os.Open(p.path)
}

func pieceName(number int, first int64) string { return fmt.Sprintf("%08d-%012d", number, first) }

// pieces are those of a log, in their order; none where it is not here.
func (f *Folder) pieces(id ID) (all []piece, err error) {
	f.mu.Lock()
	w := f.own[id.name()]
	f.mu.Unlock()
	if w != nil {
		if b := w.content(); b != nil {
			return []piece{{young: b}}, nil
		}
	}
	return f.files(id)
}

// files are the pieces that are files.
func (f *Folder) files(id ID) (all []piece, err error) {
	dir := filepath.Join(f.dir, id.name())
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries { // in the order of their names
		p := piece{path: filepath.Join(dir, e.Name())}
		if _, err := fmt.Sscanf(e.Name(), "%d-%d", &p.number, &p.first); err == nil {
			all = append(all, p)
		}
	}
	return all, fault.Wrap(fault.Unavailable, err, "a task's log cannot be read")
}

// Tail reads a log from its beginning, as far as it is, and goes on where it was.
type Tail struct {
	folder *Folder
	id     ID
	piece  int
	offset int64 // in the piece
	line   int64 // number of the next
}

// Tail reads a log that is here, or that will be.
func (f *Folder) Tail(id ID) *Tail { return &Tail{folder: f, id: id} }

// Next gives the lines that have come since, each with its end. What was left out is said in a line of its own. It stops at
// the error that to gives.
func (t *Tail) Next(to func(line []byte) error) error {
	all, err := t.folder.pieces(t.id)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.number < t.piece {
			continue
		}
		if err := t.read(p, to); err != nil && !errors.Is(err, os.ErrNotExist) { // else it was left out just now
			return err
		}
	}
	return nil
}

func (t *Tail) read(p piece, to func([]byte) error) error {
	file, err := p.open()
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	if p.number > t.piece {
		t.piece, t.offset = p.number, 0
	}
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return fault.Wrap(fault.Unavailable, err, "a task's log cannot be read")
	}
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil // a line that is not whole is read when it is
		}
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "a task's log cannot be read")
		}
		head := p.number == 0 && t.offset == 0
		t.offset += int64(len(line))
		if head {
			continue
		}
		if t.line < p.first {
			if err := to(leftOut(p.first-t.line, line)); err != nil {
				return err
			}
			t.line = p.first
		}
		t.line++
		if err := to(line); err != nil {
			return err
		}
	}
}

// leftOut is the line that stands for those left out before another.
func leftOut(lines int64, before []byte) []byte {
	at, _, _ := bytes.Cut(before, []byte(" "))
	return fmt.Appendf(nil, "%s WARN  %d lines are left out here: of a log the first %d MiB and the last %d to %d MiB are kept\n",
		at, lines, HeadBytesMax>>20, TailBytesMax>>20, 2*TailBytesMax>>20)
}

// Within says whether a line is of a time from since on and before until; a zero time is no bound. A line without a time is.
func Within(line []byte, since, until time.Time) bool {
	at, _, _ := bytes.Cut(line, []byte(" "))
	if len(at) != len(TimeForm) {
		return true
	}
	if !since.IsZero() && string(at) < since.UTC().Format(TimeForm) {
		return false
	}
	return until.IsZero() || string(at) < until.UTC().Format(TimeForm)
}

// Reader is a log as it is now, whole.
func (f *Folder) Reader(id ID) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(f.Tail(id).Next(func(line []byte) error { //nolint:errcheck // it gives none
			_, err := w.Write(line)
			return err
		}))
	}()
	return r
}

// level is a level's name, of one width.
func level(name string) string { return fmt.Sprintf("%-5s", name) }

// Format is a text as lines of a log: each with the time and the level.
func Format(at time.Time, levelName, text string) []byte {
	var b bytes.Buffer
	head := at.UTC().Format(TimeForm) + " " + level(levelName) + " "
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		b.WriteString(head)
		b.WriteString(clean(line))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// clean makes of a line one that a terminal can be shown, of bounded length.
func clean(line string) string {
	more := 0
	if len(line) > LineBytesMax {
		more = len(line) - LineBytesMax
		line = line[:LineBytesMax]
	}
	line = strings.TrimRight(line, "\r")
	if plain(line) && more == 0 {
		return line
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(line, "\ufffd"))
	if more > 0 {
		line += fmt.Sprintf(" … and %d bytes more", more)
	}
	return line
}

// plain says that a line is of ASCII's visible characters, as most are.
func plain(line string) bool {
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	return true
}

// last is the last piece of a log.
func last(all []piece) (piece, bool) {
	if len(all) == 0 {
		return piece{}, false
	}
	return slices.MaxFunc(all, func(a, b piece) int { return a.number - b.number }), true
}

// Query asks for the log of a try.
type Query struct {
	ID
	Follow       bool      // stay until the try is over; wait for one that has not begun
	Since, Until time.Time // only lines from here on, and before that; zero for no bound
}
