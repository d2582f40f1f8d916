package app

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/livecopy"
	"github.com/projectionist/projectionist/streams"
)

// killedFolder is a data folder whose program was killed: facts, and a blob, are in it.
func killedFolder(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	live, dir := filepath.Join(home, "live"), filepath.Join(home, "killed")
	a, err := Open(t.Context(), Options{Dir: live})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for i := range 40 {
		r, err := streams.FactRecord("7", &events.Event{ID: fmt.Sprint("e", i), Source: "/test", Time: time.UnixMilli(1_000).UTC(),
			Data: &events.Interaction{UserID: "7", MovieID: "1", Kind: "click", Timestamp: "2024-01-02T03:04:05Z"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Log.Feed().Publish(t.Context(), events.UserEventsTopic, []streams.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := a.Blobs.Put(t.Context(), strings.NewReader("weights")); err != nil {
		t.Fatal(err)
	}
	if err := a.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	livecopy.Copy(t, dir, live)
	return dir
}

// tree is every file below a folder with its content, but for locks.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func remove(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil || len(names) == 0 {
			t.Fatal(p, err)
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLostLog: a folder whose log is gone, or ends before what was acknowledged, is refused whether its views are
// there or not, and nothing in it is deleted or written.
func TestLostLog(t *testing.T) {
	good := killedFolder(t)
	a, err := Open(t.Context(), Options{Dir: copied(t, good)})
	if err != nil {
		t.Fatal(err)
	}
	if learned, err := a.Learned(); !learned || err != nil {
		t.Errorf("a folder with weights has learned nothing: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(dir string){
		"no log":            func(dir string) { remove(t, dir+"/log") },
		"no log, no blobs":  func(dir string) { remove(t, dir+"/log", dir+"/blobs") },
		"an empty log":      func(dir string) { remove(t, dir+"/log/*") },
		"no FORMAT":         func(dir string) { remove(t, dir+"/log/FORMAT") },
		"no END":            func(dir string) { remove(t, dir+"/log/END") },
		"no database":       func(dir string) { remove(t, dir+"/log/pebble") },
		"no empty files":    func(dir string) { remove(t, dir+"/log/pebble/marker.*") },
		"no manifest":       func(dir string) { remove(t, dir+"/log/pebble/MANIFEST-*") },
		"no marker":         func(dir string) { remove(t, dir+"/log/pebble/marker.manifest.*") },
		"no WAL":            func(dir string) { remove(t, dir+"/log/pebble/*.log") },
		"a bit of the WAL":  func(dir string) { cutWAL(t, dir) },
		"no WAL and no END": func(dir string) { remove(t, dir+"/log/pebble/*.log", dir+"/log/END") },
	} {
		for _, views := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, views %v", name, views), func(t *testing.T) {
				dir := copied(t, good)
				damage(dir)
				if !views {
					remove(t, dir+"/views")
				}
				before := tree(t, dir)
				a, err := Open(t.Context(), Options{Dir: dir})
				if err == nil {
					a.Close()
					t.Fatal("it opens")
				}
				if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("refused with %v; want the folder, and what to do", err)
				}
				if after := tree(t, dir); !maps.Equal(before, after) {
					t.Errorf("the folder has changed:\n%v\nbefore:\n%v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
				}
			})
		}
	}
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func cutWAL(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(dir + "/log/pebble/*.log")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	last := slices.Max(names)
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))-200] ^= 1
	if err := os.WriteFile(last, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNewFolder: a first start that is cut short anywhere before there is a log can be made again.
func TestNewFolder(t *testing.T) {
	for name, left := range map[string]func(dir string) error{
		"no folder":       func(string) error { return nil },
		"an empty folder": func(dir string) error { return os.Mkdir(dir, 0o755) },
		"half a mark": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, folderFile+".tmp"), []byte("{"), 0o644)
		},
		"a mark":           func(dir string) error { return openFolder(dir) },
		"an empty log":     func(dir string) error { return os.Mkdir(filepath.Join(dir, "log"), 0o755) },
		"empty blobs":      func(dir string) error { return os.MkdirAll(filepath.Join(dir, "blobs", "tmp"), 0o755) },
		"work in progress": func(dir string) error { return os.MkdirAll(filepath.Join(dir, "scratch", "x"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			switch name {
			case "no folder", "an empty folder":
			case "half a mark":
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			default:
				if err := openFolder(dir); err != nil {
					t.Fatal(err)
				}
			}
			if err := left(dir); err != nil {
				t.Fatal(err)
			}
			a, err := Open(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if learned, err := a.Learned(); learned || err != nil {
				t.Errorf("a new folder has learned something: %v", err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if mark, err := readMark(dir); err != nil || mark.Log != "log" {
				t.Errorf("mark %+v, %v", mark, err)
			}
		})
	}
}

// TestBackup_Unfinished: a backup is refused from its first file to its last.
func TestBackup_Unfinished(t *testing.T) {
	home := t.TempDir()
	a, err := Open(t.Context(), Options{Dir: filepath.Join(home, "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, _, err := a.Blobs.Put(t.Context(), strings.NewReader("weights")); err != nil {
		t.Fatal(err)
	}
	refused := func(dir string) {
		t.Helper()
		if b, err := Open(t.Context(), Options{Dir: dir}); err == nil {
			b.Close()
			t.Fatalf("%s opens", dir)
		} else if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "unfinished backup") {
			t.Errorf("refused with %v", err)
		}
		if _, err := EmbeddedLog(dir); !fault.Is(err, fault.Corrupt) {
			t.Errorf("its log can be copied: %v", err)
		}
	}
	begun := filepath.Join(home, "begun")
	if err := beginBackup(begun); err != nil {
		t.Fatal(err)
	}
	refused(begun)
	if _, err := a.Backup(t.Context(), begun, quiet); !fault.Is(err, fault.Invalid) {
		t.Errorf("into a folder that is not empty: %v", err)
	}
	if err := a.embedded.Checkpoint(filepath.Join(begun, "log")); err != nil {
		t.Fatal(err)
	}
	refused(begun)

	whole := filepath.Join(home, "whole")
	if _, err := a.Backup(t.Context(), whole, quiet); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Options{Dir: whole})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, whole+"/log", whole+"/views", whole+"/blobs")
	if b, err := Open(t.Context(), Options{Dir: whole}); err == nil {
		b.Close()
		t.Error("a backup without its log opens as a new folder")
	}
}

// TestAcceptLoss: what is missing is given up once, and the views are folded from what is left.
func TestAcceptLoss(t *testing.T) {
	dir := killedFolder(t)
	cutWAL(t, dir)
	losses, err := AcceptLoss(dir, "the disk was old", t.Logf)
	if err != nil || len(losses) != 1 || losses[0].Reason != "the disk was old" || losses[0].Topic != events.UserEventsTopic || losses[0].To != 40 {
		t.Fatalf("%+v, %v", losses, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "views")); err == nil {
		t.Error("views of what is lost are left")
	}
	if _, err := AcceptLoss(dir, "again", t.Logf); !fault.Is(err, fault.Conflict) {
		t.Errorf("again: %v", err)
	}
	a, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.caughtUp(context.Background()); err != nil {
		t.Fatal(err)
	}
}
