package tasklog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/projectionist/projectionist/internal/fault"
)

// journal is one file with what logs have that are no files yet, so that a process that is killed loses none of it. A line of it is the name of a log's
// folder, a letter, and a line of the log: its head, one of its lines, or nothing when the log has files, or is removed.
type journal struct {
	mu   sync.Mutex
	file *os.File
	logs int   // that are in it, and have no end there
	size int64 // of the file
}

const (
	journalName = "young"
	journalHead = 'h'
	journalLine = 'l'
	journalEnd  = 'e'
	// journalBytesMax is how large it becomes before it is begun anew. Until its logs have ended, which takes seconds, others have files at once.
	journalBytesMax = 1 << 20
)

func openJournal(dir string) (*journal, error) {
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	return &journal{file: file}, err
}

// add adds a line, which ends with one.
func (j *journal) add(log string, kind byte, line []byte) error {
	b := make([]byte, 0, len(log)+2+len(line))
	b = append(append(append(b, log...), kind, ' '), line...)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch kind {
	case journalHead:
		j.logs++
	case journalEnd:
		j.logs--
	}
	if j.logs == 0 && j.size > journalBytesMax {
		j.size = 0
		return j.file.Truncate(0)
	}
	n, err := j.file.Write(b)
	j.size += int64(n)
	return err
}

// full says whether it takes no further logs for now.
func (j *journal) full() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size > journalBytesMax && j.logs > 0
}

func (j *journal) end(log string) error { return j.add(log, journalEnd, []byte("\n")) }

// unfold makes the files of the logs that a journal has, of a process that was killed; what it says of none is left out, and so is a line that is not whole.
func unfold(dir string) error {
	file, err := os.Open(filepath.Join(dir, journalName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the journal of tasks' logs cannot be read")
	}
	defer file.Close() //nolint:errcheck // read only
	logs := map[string]*bytes.Buffer{}
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "the journal of tasks' logs cannot be read")
		}
		const name = 32
		if len(line) < name+2 {
			continue
		}
		log, rest := string(line[:name]), line[name+2:]
		switch b := logs[log]; {
		case line[name] == journalHead:
			logs[log] = bytes.NewBuffer(bytes.Clone(rest))
		case line[name] == journalEnd:
			delete(logs, log)
		case b != nil && line[name] == journalLine && b.Len()+len(rest) <= youngBytesMax:
			b.Write(rest)
		}
	}
	for log, b := range logs {
		var id ID
		head, _, _ := bytes.Cut(b.Bytes(), []byte("\n"))
		if json.Unmarshal(head, &id) != nil || id.name() != log {
			continue
		}
		first := filepath.Join(dir, log)
		if _, err := os.Stat(filepath.Join(first, pieceName(0, 0))); err == nil {
			continue // it was written before its end was here
		}
		if err := writeFirst(first, b.Bytes()); err != nil {
			return fault.Wrap(fault.Unavailable, err, "the log of a try that was cut off cannot be written")
		}
	}
	return nil
}

// writeFirst writes the first piece of a log, whole or not at all.
func writeFirst(dir string, content []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	whole := filepath.Join(dir, "whole")
	if err := os.WriteFile(whole, content, 0o600); err != nil {
		return err
	}
	return os.Rename(whole, filepath.Join(dir, pieceName(0, 0)))
}
