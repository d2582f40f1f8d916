package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk measures what the disk itself takes to keep some bytes.
type disk struct {
	payload   []byte
	appended  *os.File
	allocated vfs.File
	slot      int64
}

const (
	appendedFile  = "appended"
	allocatedFile = "allocated"
	slots         = 10_000 // of the allocated file
)

func newDisk(dir string, bytes int) (*disk, error) {
	d := &disk{payload: make([]byte, bytes)}
	for i := range d.payload {
		d.payload[i] = byte(i * 7)
	}
	var err error
	if d.appended, err = os.OpenFile(filepath.Join(dir, appendedFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	if d.allocated, err = vfs.Default.Create(filepath.Join(dir, allocatedFile), vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	if _, err = d.allocated.Write(make([]byte, slots*bytes)); err != nil {
		return nil, err
	}
	return d, d.allocated.Sync()
}

// appendSync is the time, in seconds, of one write at the end of a growing file with one fsync.
func (d *disk) appendSync() (float64, error) {
	t := time.Now()
	_, err := d.appended.Write(d.payload)
	if err == nil {
		err = d.appended.Sync()
	}
	return time.Since(t).Seconds(), err
}

// writeSync is the time of one write into space that is allocated already, with one fdatasync: the least
// that a disk can be asked for.
func (d *disk) writeSync() (float64, error) {
	t := time.Now()
	_, err := d.allocated.WriteAt(d.payload, d.slot%slots*int64(len(d.payload)))
	if err == nil {
		err = d.allocated.SyncData()
	}
	d.slot++
	return time.Since(t).Seconds(), err
}

func (d *disk) Close() error { return errors.Join(d.appended.Close(), d.allocated.Close()) }

// sequential is the time of writing so many bytes to a new file and one fsync at the end.
func sequential(path string, bytes int64) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 31)
	}
	t := time.Now()
	for left := bytes; left > 0; left -= int64(len(block)) {
		if _, err := f.Write(block[:min(left, int64(len(block)))]); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return time.Since(t).Seconds(), nil
}
