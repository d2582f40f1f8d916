package v1

import (
	"io"
	"os"
)

// What tests from outside look at, and hold.

const (
	HistoricalMax      = historicalMax
	HistoricalBytesMax = historicalBytesMax
	EntitiesMax        = entitiesMax
)

// UTF8Reader passes on what is UTF-8.
func UTF8Reader(in io.Reader) io.Reader { return &utf8Reader{in: in} }

// HoldSnapshots keeps snapshots from being made until release is called.
func (s *Surface) HoldSnapshots() (release func()) {
	s.snapshotting.Lock()
	return s.snapshotting.Unlock
}

// ForgetReplays removes what is kept for the next replay, and names its folder.
func (s *Surface) ForgetReplays() (dir string, err error) {
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	if k := s.replays.kept; k != nil {
		dir, s.replays.kept = k.dir, nil
	}
	return dir, os.RemoveAll(dir)
}

// FromTheBeginning calls f as if no replay were kept, and puts the kept one back.
func (s *Surface) FromTheBeginning(f func()) error {
	s.replays.mu.Lock()
	kept := s.replays.kept
	s.replays.kept = nil
	s.replays.mu.Unlock()
	f()
	_, err := s.ForgetReplays()
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	s.replays.kept = kept
	return err
}

// ReplayFolder names the folder of what is kept.
func (s *Surface) ReplayFolder() string {
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	if s.replays.kept == nil {
		return ""
	}
	return s.replays.kept.dir
}
