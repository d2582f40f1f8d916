package secret_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/secret"
)

// parse reads NAME=VALUE lines.
func parse(r io.Reader) (map[string]string, error) {
	all := map[string]string{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), "=")
		all[name] = value
	}
	return all, s.Err()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSources finds secrets where they are, says of none what it is, and sees another value the next time.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	mounted, file := filepath.Join(dir, "mounted"), filepath.Join(dir, "secrets.env")
	if err := os.MkdirAll(filepath.Join(mounted, "..data"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(mounted, "..data", "api-key"), "from the directory\n")
	if err := os.Symlink(filepath.Join("..data", "api-key"), filepath.Join(mounted, "api-key")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(mounted, "short"), "abc")
	write(t, file, "api-key=from the file\nPROJECTIONIST_SEAL_KEY=seal of file\nboth=of the file")
	t.Setenv("PROJECTIONIST_SECRET_both", "of the environment")
	t.Setenv("PROJECTIONIST_OTHER", "not for definitions")
	for path, want := range map[string]string{mounted: "from the directory", file: "from the file", "": ""} {
		s, err := secret.Open(path, parse)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get("api-key")
		if got != want || want == "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "api-key")) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if both, err := s.Get("both"); both != "of the environment" || err != nil {
			t.Errorf("%s: %q, %v", path, both, err)
		}
		for _, name := range []string{"PROJECTIONIST_SEAL_KEY", "PROJECTIONIST_OTHER", "OTHER", "HOME", "PATH", "../secrets.env", "..data", "short", ""} {
			if v, err := s.Get(name); err == nil || strings.Contains(err.Error(), "abc") {
				t.Errorf("%s: %q is %q, %v", path, name, v, err)
			}
		}
		if seal, err := s.Setting("PROJECTIONIST_SEAL_KEY"); err != nil || (seal == "seal of file") != (path == file) {
			t.Errorf("%s: %q, %v", path, seal, err)
		}
		if path == mounted {
			write(t, filepath.Join(mounted, "..data", "api-key"), "another one")
			if got, err := s.Get("api-key"); got != "another one" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if got := s.Mask("x from the directory, another one y"); got != "x ***, *** y" {
				t.Error(got)
			}
		}
	}
	if _, err := secret.Open(filepath.Join(dir, "nowhere"), parse); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// TestMask finds a value in the forms in which it comes to light.
func TestMask(t *testing.T) {
	var s secret.Store
	pem := "-----BEGIN KEY-----\nMIIEvQIBADAN\nQ==\n-----END KEY-----\n"
	for _, v := range []string{"p@ss w\"rd", pem, "p@ss w\"rd and more", "abc"} {
		s.Hide(v)
	}
	for text, want := range map[string]string{
		`x p@ss w"rd y`:              `x *** y`,
		`p@ss w"rd and more`:         `***`,
		`{"k":"p@ss w\"rd"}`:         `{"k":"***"}`,
		`?key=p%40ss+w%22rd&x=1`:     `?key=***&x=1`,
		`/p@ss%20w%22rd/`:            `/***/`,
		"abc and MIIEvQIBADAN alone": "abc and *** alone",
		base64.StdEncoding.EncodeToString([]byte(`p@ss w"rd`)): `***`,
		"nothing": "nothing",
	} {
		if got := s.Mask(text); strings.TrimRight(got, "=") != want {
			t.Errorf("%q is masked as %q; want %q", text, got, want)
		}
	}
	if got := new(secret.Store).Mask("x"); got != "x" {
		t.Error(got)
	}
}
