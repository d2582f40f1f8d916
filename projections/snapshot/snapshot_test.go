package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

var content = map[string]string{
	"views/000004.sst":   strings.Repeat("views ", 300),
	"views/MANIFEST-1":   "m",
	"views/marker.1":     "",
	"index/000002.log":   strings.Repeat("x", tarBlock),
	"index/OPTIONS-0001": "options",
}

func archive(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(dir, &Manifest{Version: "1", Log: Log{"c", "t", "i"}, Views: []fold.Stored{{View: "runs", Format: 3, Cut: "mlops-events/0:7"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := a.Send(&b); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != a.Bytes() {
		t.Fatalf("sent %d bytes; said %d", b.Len(), a.Bytes())
	}
	return b.Bytes()
}

func yes(*Manifest) error { return nil }

func TestReceive(t *testing.T) {
	dir := t.TempDir()
	var done, total int64
	m, err := Receive(bytes.NewReader(archive(t)), dir, yes, func(d, of int64) { done, total = d, of })
	if err != nil {
		t.Fatal(err)
	}
	if m.Version != "1" || m.Log != (Log{"c", "t", "i"}) || len(m.Views) != 1 || m.Views[0].Format != 3 || len(m.Files) != len(content) {
		t.Errorf("manifest %+v", m)
	}
	if done != total || total != m.Bytes() || total == 0 {
		t.Errorf("progress ended at %d of %d; %d bytes", done, total, m.Bytes())
	}
	for name, want := range content {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// However much of it is missing, it is no snapshot.
func TestReceiveCutOff(t *testing.T) {
	whole := archive(t)
	sums := len(whole) - 3*tarBlock // the last bytes of a tar are zeros that nobody needs: HTTP counts them
	for n := 0; n < sums; n += 97 {
		if _, err := Receive(bytes.NewReader(whole[:n]), t.TempDir(), yes, nil); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
	cut := io.MultiReader(bytes.NewReader(whole[:len(whole)-1]), failing{})
	if _, err := Receive(cut, t.TempDir(), yes, nil); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("the last byte is missing: %v", err)
	}
}

// failing is what a body of HTTP does that is shorter than it was said to be.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Whichever bit is flipped: it is refused, or everything in the files is as it was sent.
func TestReceiveFlipped(t *testing.T) {
	whole, refused := archive(t), 0
	for i := 0; i < len(whole); i += 13 {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		dir := t.TempDir()
		m, err := Receive(bytes.NewReader(b), dir, yes, nil)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("byte %d: %v", i, err)
			}
			refused++
			continue
		}
		if m.Bytes() == 0 || m.Log.Cluster != "c" || m.Views[0].Cut != "mlops-events/0:7" {
			t.Fatalf("byte %d: manifest %+v", i, m)
		}
		for name, want := range content {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
				t.Fatalf("byte %d: %s is another and was taken: %v", i, name, err)
			}
		}
	}
	if refused < len(whole)/13/2 {
		t.Errorf("%d of %d flips were refused", refused, len(whole)/13)
	}
}

func TestReceiveRefuses(t *testing.T) {
	one := func(name, text string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text)) //nolint:errcheck // into memory
		w.Close()             //nolint:errcheck
		return b.Bytes()
	}
	manifest := func(files string) []byte {
		return one(manifestName, `{"program":"projectionist","format":1,"files":[`+files+`]}`)
	}
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"a page":                 {[]byte("<html>" + strings.Repeat(" ", 1000)), "no snapshot"},
		"another archive":        {one("README", "hello"), "no snapshot"},
		"no JSON":                {one(manifestName, "hello"), "cannot be read"},
		"another program's":      {one(manifestName, `{"program":"other"}`), "no snapshot of this program"},
		"a newer format":         {one(manifestName, `{"program":"projectionist","format":2}`), "format 2"},
		"no views":               {manifest(`{"path":"index/a"}`), "no views"},
		"a file outside":         {manifest(`{"path":"views/../../a"}`), "views/../../a"},
		"a file above":           {manifest(`{"path":"../a"}`), "../a"},
		"an absolute one":        {manifest(`{"path":"/etc/passwd"}`), "/etc/passwd"},
		"a file of other folder": {manifest(`{"path":"log/a"}`), "log/a"},
		"a file twice":           {manifest(`{"path":"views/a"},{"path":"views/a"}`), "views/a"},
		"no bytes":               {manifest(`{"path":"views/a","bytes":-1}`), "views/a"},
	} {
		dir := t.TempDir()
		_, err := Receive(bytes.NewReader(c.archive), dir, yes, nil)
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want it to say %q", name, err, c.says)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
	no := errors.New("no")
	dir := t.TempDir()
	if _, err := Receive(bytes.NewReader(archive(t)), dir, func(*Manifest) error { return no }, nil); err != no {
		t.Errorf("not accepted: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("files were taken that were not accepted: %v", left)
	}
}
