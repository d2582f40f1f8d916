package tasklog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Writer writes a log. It is safe for concurrent use.
type Writer struct {
	folder *Folder
	id     ID

	mu     sync.Mutex
	young  *bytes.Buffer // what will be the first piece's; nil once there are files
	aging  *time.Timer
	closed bool
	file   *os.File // nil while it is young, and once it is closed
	number int      // of the piece
	size   int64    // of it
	lines  int64    // of the log
	failed error    // the first that was
}

// Create begins a log, or goes on with the one that is there. Errors: fault.Unavailable where it cannot be written.
func (f *Folder) Create(id ID) (*Writer, error) {
	w := &Writer{folder: f, id: id}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before := f.own[id.name()]; before != nil { // it was closed, and is not kept yet
		if err := before.age(); err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "a task's log cannot be written")
		}
	}
	if err := w.open(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "a task's log cannot be written")
	}
	f.own[id.name()], f.writing[id.name()] = w, true
	w.aging = time.AfterFunc(youngest, w.grow)
	return w, nil
}

func (w *Writer) open() error {
	all, err := w.folder.files(w.id)
	if err != nil {
		return err
	}
	if end, ok := last(all); ok {
		return w.resume(end)
	}
	head, err := json.Marshal(w.id)
	if err != nil {
		return err
	}
	head = append(head, '\n')
	if w.folder.journal.full() {
		if err := writeFirst(filepath.Join(w.folder.dir, w.id.name()), head); err != nil {
			return err
		}
		return w.begin(0, 0)
	}
	w.young = bytes.NewBuffer(head)
	return w.folder.journal.add(w.id.name(), journalHead, head)
}

// isYoung says whether the log has no files yet.
func (w *Writer) isYoung() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.young != nil
}

// content is a copy of a young log; nil of one that has files.
func (w *Writer) content() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.young == nil {
		return nil
	}
	return bytes.Clone(w.young.Bytes())
}

// grow has a log that is still here be young no more.
func (w *Writer) grow() {
	w.folder.mu.Lock()
	defer w.folder.mu.Unlock()
	if w.folder.own[w.id.name()] == w {
		w.age() //nolint:errcheck // it is an error of the log's
	}
}

// age makes a young log one of files.
func (w *Writer) age() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.toFile()
}

// toFile writes what is young; what cannot be written stays so. mu is held.
func (w *Writer) toFile() error {
	if w.young == nil {
		return nil
	}
	err := writeFirst(filepath.Join(w.folder.dir, w.id.name()), w.young.Bytes())
	if err == nil {
		err = w.begin(0, 0)
	}
	if err != nil {
		w.fail(err)
		return err
	}
	w.size, w.young = int64(w.young.Len()), nil
	if err := w.folder.journal.end(w.id.name()); err != nil {
		w.fail(err)
	}
	if w.closed {
		err = w.file.Close()
		w.file = nil
	}
	return err
}

func (w *Writer) fail(err error) {
	if w.failed == nil {
		w.failed = err
	}
}

// begin begins a piece, or goes on with one; first is the number of its first line.
func (w *Writer) begin(number int, first int64) (err error) {
	w.number, w.size = number, 0
	w.file, err = os.OpenFile(filepath.Join(w.folder.dir, w.id.name(), pieceName(number, first)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// resume goes on with a piece; a line that was cut off is ended.
func (w *Writer) resume(p piece) error {
	b, err := os.ReadFile(p.path)
	if err != nil {
		return err
	}
	if err := w.begin(p.number, p.first); err != nil {
		return err
	}
	w.size = int64(len(b))
	w.lines = p.first + int64(bytes.Count(b, []byte("\n")))
	if p.number == 0 {
		w.lines-- // its head
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		w.lines++
		_, err = w.file.Write([]byte("\n"))
	}
	return err
}

// Line adds a text at a level, DEBUG, INFO, WARN or ERROR: a line for each of its own. What cannot be written is told by
// [Writer.Err].
func (w *Writer) Line(at time.Time, levelName, text string) {
	if mask := w.folder.Mask; mask != nil {
		text = mask(text)
	}
	raw := Format(at, levelName, text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n') + 1
		w.write(raw[:end])
		raw = raw[end:]
	}
}

func (w *Writer) write(line []byte) {
	if w.young != nil && w.young.Len()+len(line) <= youngBytesMax {
		w.young.Write(line)
		w.lines++
		if err := w.folder.journal.add(w.id.name(), journalLine, line); err != nil {
			w.fail(err)
		}
		return
	}
	if w.toFile() != nil {
		return
	}
	most := int64(TailBytesMax)
	if w.number == 0 {
		most = HeadBytesMax
	}
	var err error
	if w.size+int64(len(line)) > most {
		err = w.turn()
	}
	if err == nil {
		_, err = w.file.Write(line)
	}
	if err != nil {
		w.fail(err)
		return
	}
	w.size += int64(len(line))
	w.lines++
}

// turn begins the next piece, and lets go of what is neither the first nor one of the last two.
func (w *Writer) turn() error {
	before := w.file
	if err := w.begin(w.number+1, w.lines); err != nil {
		w.file = before
		return err
	}
	err := before.Close()
	all, listed := w.folder.files(w.id)
	for _, p := range all {
		if p.number > 0 && p.number < w.number-1 {
			err = errors.Join(err, os.Remove(p.path))
		}
	}
	return errors.Join(err, listed)
}

// Err is the first error of writing.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fault.Wrap(fault.Unavailable, w.failed, "a task's log cannot be written")
}

// Close ends the log; what is said afterwards is not in it.
func (w *Writer) Close() error {
	w.folder.mu.Lock()
	defer w.folder.mu.Unlock()
	delete(w.folder.writing, w.id.name())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.young != nil && !w.closed {
		w.aging.Reset(closedYoungest)
	}
	w.closed = true
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// Copy adds what is read, line by line, until it ends: a carriage return ends a line too, as it does where progress is
// shown. It gives the last line that is not empty. Its memory is bounded, however long a line is.
func (w *Writer) Copy(now func() time.Time, levelName string, from io.Reader) (lastLine string, err error) {
	const ahead = 4 * LineBytesMax // so that a secret across the cut is masked whole
	line, more := make([]byte, 0, ahead), 0
	end := func() {
		if len(line)+more == 0 {
			return
		}
		text := string(line)
		if strings.TrimSpace(text) != "" {
			lastLine = text
		}
		if more > 0 {
			text += " …" + strconv.Itoa(more) + " bytes more"
		}
		w.Line(now(), levelName, text)
		line, more = line[:0], 0
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		for b := buffer[:n]; len(b) > 0; {
			i := bytes.IndexAny(b, "\r\n")
			part := b
			if i >= 0 {
				part = b[:i]
			}
			room := min(ahead-len(line), len(part))
			line, more = append(line, part[:room]...), more+len(part)-room
			if i < 0 {
				break
			}
			end()
			b = b[i+1:]
		}
		if err != nil {
			end()
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				err = nil
			}
			return lastLine, err
		}
	}
}

// Logger writes to the log what it is told, and has next told too.
func (w *Writer) Logger(next slog.Handler) *slog.Logger { return slog.New(&handler{w: w, next: next}) }

// handler is a [slog.Handler]: a line is the message and its attributes.
type handler struct {
	w      *Writer
	next   slog.Handler
	attrs  string // those of the logger, as text
	prefix string // of groups
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	text := h.attrs
	r.Attrs(func(a slog.Attr) bool {
		text += h.text(a)
		return true
	})
	h.w.Line(r.Time, r.Level.String(), r.Message+text)
	if h.next == nil || !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, h.masked(r))
}

// masked is a record without what may not be in a log.
func (h *handler) masked(r slog.Record) slog.Record {
	mask := h.w.folder.Mask
	if mask == nil {
		return r
	}
	clean := slog.NewRecord(r.Time, r.Level, mask(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if v := a.Value.Resolve(); v.Kind() == slog.KindString || v.Kind() == slog.KindAny {
			a.Value = slog.StringValue(mask(v.String()))
		}
		clean.AddAttrs(a)
		return true
	})
	return clean
}

func (h *handler) text(a slog.Attr) string {
	v := a.Value.Resolve().String()
	if mask := h.w.folder.Mask; mask != nil {
		v = mask(v) // before it is quoted
	}
	if v == "" || strings.ContainsAny(v, " \t\r\n\"=") {
		v = strconv.Quote(v)
	}
	return " " + h.prefix + a.Key + "=" + v
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += h.text(a)
	}
	if h.next != nil {
		with.next = h.next.WithAttrs(attrs)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.prefix += name + "."
	if h.next != nil {
		with.next = h.next.WithGroup(name)
	}
	return &with
}

var _ slog.Handler = (*handler)(nil)
