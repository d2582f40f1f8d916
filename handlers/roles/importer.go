package roles

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"

	"github.com/projectionist/projectionist/handlers/ingest"
	sets "github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
)

// importData imports a data set that lies on this machine. What is in the log already is not added again, so another
// try goes on where one was cut off.
func importData(ctx context.Context, w *job) (out map[string]string, err error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	if w.cfg.Import == nil {
		return nil, react.Permanent(fault.New(fault.Unavailable, "this process does not import"))
	}
	path := args[argPath]
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.cfg.Dir, filepath.FromSlash(path))
	}
	bad, err := strconv.ParseInt(args[argBadRows], 10, 64)
	if err != nil {
		return nil, err
	}
	set, err := sets.Open(path)
	if err != nil {
		return nil, react.Permanent(fault.Field(argPath, "%v", err).WithHint("give the folder or .zip of a MovieLens or MovieTweetings data set, absolute or below the data folder %s", w.cfg.Dir))
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	follow := func(p ingest.Progress) { w.Progress(p.Stage, p.Done, p.Total) }
	src, err := ingest.FromDataset(ctx, set, path, w.Now(), follow)
	if err != nil {
		return nil, err
	}
	src.Merge, src.BadRowsMax = args[argMerge] == "true", bad
	res, err := w.cfg.Import(ctx, src, "workflow-run/"+w.RunID(), follow)
	if fault.Is(err, fault.Invalid) {
		err = react.Permanent(err) // it is the same at the next try
	}
	if err != nil {
		return nil, err
	}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return map[string]string{"import_id": res.ImportID, "dataset": res.Dataset, "already_imported": strconv.FormatBool(res.AlreadyDone),
		"movies_added": n(res.MoviesAdded), "users_described": n(res.UsersDescribed), "interactions_added": n(res.FactsAdded),
		"interactions_already_there": n(res.FactsDuplicate), "bad_rows": n(res.BadRows)}, nil
}
