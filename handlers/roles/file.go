package roles

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// modelFolder has the weights of versions as files, below Config.Files.
const modelFolder = "models/trained"

// folder is where files for people are, as a path from the root.
func (c *Config) folder() string {
	dir := cmp.Or(c.Files, c.Dir)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// writeFile writes a file for people, whole or not at all. path is below [Config.Files], with slashes.
func (c *Config) writeFile(path string, write func(io.Writer) error) error {
	at := filepath.Join(c.folder(), filepath.FromSlash(path))
	err := os.MkdirAll(filepath.Dir(at), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(filepath.Dir(at), "."+filepath.Base(at)+"-*")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "%s cannot be written", at)
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriter(f)
	err = errors.Join(write(b), b.Flush(), f.Chmod(0o600), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), at)
	}
	return fault.Wrap(fault.Unavailable, err, "%s cannot be written", at)
}

// writeModel writes a version's weights as a safetensors file, and gives its path below [Config.Files]. The file is for
// people: what serves is the blob.
func (c *Config) writeModel(name string, version int, weights []byte) (string, error) {
	file, err := all.Export("", weights, all.Safetensors)
	if err != nil {
		return "", err
	}
	path := modelFolder + "/" + fileName(name) + "-" + strconv.Itoa(version) + "." + all.Safetensors
	return path, c.writeFile(path, func(w io.Writer) error {
		_, err := file.WriteTo(w)
		return err
	})
}

// fileName is a model's name as that of a file in one folder on any system: what could mean more there is a "_".
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, name)
	return strings.TrimLeft(name, ".")
}

// keepModel writes the file of a version that was registered, and says in out where it is; one that cannot be written
// holds nothing up: out says why.
func (w *job) keepModel(ctx context.Context, name string, version int, blob, prefix string, out map[string]string) {
	weights, err := w.Blob(ctx, blob)
	if err == nil {
		var path string
		if path, err = w.cfg.writeModel(name, version, weights); err == nil {
			out[prefix+"file"], out["folder"] = path, w.cfg.folder()
			return
		}
	}
	out[prefix+"no_file"] = err.Error()
	w.Log().Warn("the weights of a version are not there as a file", "model", name, "version", version, "error", err)
}
