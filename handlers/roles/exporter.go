package roles

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/streams"
)

// exportFolder has the files of exports, below Config.Files.
const exportFolder = "data/exports"

// What can be exported.
const (
	exportDataset = "dataset"
	exportModel   = "model"
	exportTopic   = "topic"
)

// exported is a file that is written, and what it has.
type exported struct {
	write func(io.Writer) error
	rows  *int64 // lines or rows; nil for a file of none
	more  map[string]string
}

// export writes a training set, the weights of a model version, or a topic of the log as a file below data/exports. It is whole or not there, and the same at every try.
func export(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	name, err := exportPath(args[argPath])
	if err != nil {
		return nil, react.Permanent(err)
	}
	var e exported
	switch args[argWhat] {
	case exportDataset:
		e, err = w.exportDataset(ctx, args[argDataset])
	case exportModel:
		e, err = w.exportModel(ctx, args[argModel], args[argVersion], name)
	default:
		e, err = w.exportTopic(ctx, args[argTopic])
	}
	if err != nil {
		return nil, err
	}
	size, sum, err := w.writeExport(name, e.write)
	if err != nil {
		return nil, err
	}
	out := map[string]string{"path": exportFolder + "/" + name, "folder": w.cfg.folder(), "bytes": strconv.FormatInt(size, 10), "sha256": sum}
	if e.rows != nil {
		out["rows"] = strconv.FormatInt(*e.rows, 10)
	}
	for k, v := range e.more {
		out[k] = v
	}
	w.Log().Info("exported", "what", args[argWhat], "file", filepath.Join(w.cfg.folder(), exportFolder, filepath.FromSlash(name)), "bytes", size)
	return out, nil
}

// exportPath is a file's path below the folder of exports. One that leads out of it, or that would be hidden, is refused.
func exportPath(given string) (string, error) {
	clean := path.Clean(given)
	switch {
	case given == "" || clean == "." || strings.HasSuffix(given, "/"):
		return "", fault.Field(argPath, "is %q; want the name of a file, such as sets/ratings.csv", given)
	case !filepath.IsLocal(filepath.FromSlash(clean)) || strings.ContainsAny(given, "\\\x00"):
		return "", fault.Field(argPath, "is %q, which leads out of %s", given, exportFolder).WithHint("name a file below it, with slashes between folders")
	case slices.ContainsFunc(strings.Split(clean, "/"), func(part string) bool { return strings.HasPrefix(part, ".") }):
		return "", fault.Field(argPath, "is %q; want no name that begins with a dot", given)
	}
	return clean, nil
}

// writeExport writes a file below the folder of exports, whole or not at all, and through no link that leads out of it.
func (w *job) writeExport(name string, write func(io.Writer) error) (size int64, sum string, err error) {
	dir := filepath.Join(w.cfg.folder(), filepath.FromSlash(exportFolder))
	wrong := func(err error) error {
		return fault.Wrap(fault.Unavailable, err, "%s cannot be written", filepath.Join(dir, filepath.FromSlash(name)))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, "", wrong(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, "", wrong(err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := unlinked(root, name); err != nil {
		return 0, "", react.Permanent(err)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return 0, "", wrong(err)
	}
	part := path.Join(path.Dir(name), "."+react.HashID(w.RunID(), w.Task(), strconv.Itoa(w.Try()))+".part")
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, "", wrong(err)
	}
	defer root.Remove(part)
	hash, counted := sha256.New(), &counter{}
	b := bufio.NewWriter(io.MultiWriter(f, hash, counted))
	if err := errors.Join(write(b), b.Flush(), f.Close()); err != nil {
		return 0, "", wrong(err)
	}
	if err := root.Rename(part, name); err != nil {
		return 0, "", wrong(err)
	}
	return counted.n, hex.EncodeToString(hash.Sum(nil)), nil
}

// unlinked refuses a file that would be in a folder which is a link, or that is a folder.
func unlinked(root *os.Root, name string) error {
	for at := path.Dir(name); at != "."; at = path.Dir(at) {
		if info, err := root.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return fault.Field(argPath, "is %q, and %s is a link", name, at).WithHint("name a folder that is one")
		}
	}
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return fault.Field(argPath, "is %q, which is a folder", name)
	}
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// exportDataset is the rows of a training set as a table: who rated what, when, the features just before it, and the rating.
func (w *job) exportDataset(ctx context.Context, id string) (e exported, err error) {
	var built *events.DatasetBuilt
	if id != "" {
		for c, err := range w.cfg.Log.Ledger().ReadStream(ctx, "dataset/"+id, 0) {
			if err != nil {
				return e, err
			}
			for i := range c.Events {
				if b, ok := c.Events[i].Data.(*events.DatasetBuilt); ok {
					built = b
				}
			}
		}
	}
	if built == nil {
		return e, react.Permanent(fault.Field(argDataset, "is %q; want the id of a training set", id).WithHint("the task of operator dataset puts it out: {{ tasks.NAME.dataset_id }}"))
	}
	cut, err := streams.ParseCut(built.Cut)
	if err != nil {
		return e, err
	}
	set, err := w.cfg.Sets.LoadActs(ctx, w.cfg.Log, cut, w.reading)
	if err != nil {
		return e, err
	}
	d, err := w.dataset(ctx, set, built.Blob)
	if err != nil {
		return e, err
	}
	rows := int64(len(d.Rows))
	return exported{rows: &rows, more: map[string]string{"cut": built.Cut, "features_hash": built.FeaturesHash}, write: func(to io.Writer) error {
		out := csv.NewWriter(to)
		out.Write(slices.Concat([]string{"user_id", "movie_id", "timestamp"}, d.Features, []string{"rating"})) // its error stays
		record := make([]string, 0, len(d.Features)+4)
		for i, r := range d.Rows {
			if i%4096 == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				w.Progress("write the training set", int64(i), rows)
			}
			s := &set.Data.Samples[r.Sample]
			record = append(record[:0], d.Users[s.User], d.Items[s.Item], events.FormatTime(time.UnixMilli(s.Time)))
			for _, v := range r.Values {
				record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 32))
			}
			out.Write(append(record, strconv.FormatFloat(set.Signals[r.Sample].Rating(), 'g', -1, 64)))
		}
		out.Flush()
		return out.Error()
	}}, nil
}

// exportModel is the weights of a version as `projectionist models export` writes them, in the format that the path says.
func (w *job) exportModel(ctx context.Context, name, called, path string) (e exported, err error) {
	if name == "" {
		return e, react.Permanent(fault.Field(argModel, "is needed: the name of a registered model"))
	}
	m, v, err := w.versionNamed(ctx, name, called)
	if err != nil {
		return e, err
	}
	weights, err := w.Blob(ctx, v.Blob)
	if err != nil {
		return e, err
	}
	file, err := all.Export(v.Algorithm, weights, all.FormatOf(path))
	if err != nil {
		return e, react.Permanent(err)
	}
	return exported{more: map[string]string{"model": m.Name, "version": strconv.Itoa(v.Version)}, write: func(to io.Writer) error {
		_, err := file.WriteTo(to)
		return err
	}}, nil
}

// exportedRecord is a line of an export of a topic. A value that is no JSON is a text.
type exportedRecord struct {
	Position string            `json:"position"`
	Recorded string            `json:"recorded"`
	Key      string            `json:"key,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Value    json.RawMessage   `json:"value"`
}

// exportTopic is the records of a topic, partition by partition, up to where the log was when the task was first started: a line of JSON each.
func (w *job) exportTopic(ctx context.Context, name string) (e exported, err error) {
	at := slices.IndexFunc(streams.Topics, func(t streams.Topic) bool { return t.Name == name })
	if at < 0 {
		var all []string
		for _, t := range streams.Topics {
			all = append(all, t.Name)
		}
		return e, react.Permanent(fault.Field(argTopic, "is %q; want one of %s", name, strings.Join(all, ", ")))
	}
	head, err := w.head(ctx)
	if err != nil {
		return e, err
	}
	rows, total := int64(0), int64(0)
	for p := range streams.Topics[at].Partitions {
		total += head[streams.TP{Topic: name, Partition: p}]
	}
	return exported{rows: &rows, more: map[string]string{"cut": head.String()}, write: func(to io.Writer) error {
		line := json.NewEncoder(to)
		line.SetEscapeHTML(false)
		for p := range streams.Topics[at].Partitions {
			tp := streams.TP{Topic: name, Partition: p}
			for r, err := range w.cfg.Log.Feed().Read(ctx, tp, 0) {
				if err != nil {
					return err
				}
				if r.Offset >= head[tp] {
					break
				}
				if rows%4096 == 0 {
					w.Progress("write the records", rows, total)
				}
				one := exportedRecord{Position: r.Position.String(), Recorded: events.FormatTime(r.Recorded), Key: string(r.Key), Value: bytes.TrimSpace(r.Value)}
				for _, h := range r.Headers {
					if one.Headers == nil {
						one.Headers = map[string]string{}
					}
					one.Headers[h.Key] = string(h.Value)
				}
				if !json.Valid(one.Value) {
					text, err := json.Marshal(string(r.Value))
					if err != nil {
						return err
					}
					one.Value = text
				}
				if err := line.Encode(&one); err != nil {
					return err
				}
				rows++
			}
		}
		return nil
	}}, nil
}
