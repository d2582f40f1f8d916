// Package bundle makes the console's files of its sources, in memory: the same bytes on every machine. The program does not link it.
package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// options are for the folder that has src/ and lib/.
func options(dir string) (api.BuildOptions, error) {
	dir, err := filepath.Abs(dir)
	return api.BuildOptions{
		AbsWorkingDir: dir, EntryPoints: []string{"src/app.tsx", "src/style/app.css"}, Outdir: "dist", EntryNames: "[name]",
		Bundle: true, Format: api.FormatIIFE, Platform: api.PlatformBrowser, Target: api.ES2022, Charset: api.CharsetUTF8,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, LegalComments: api.LegalCommentsInline,
		JSX: api.JSXAutomatic, JSXImportSource: "preact", Tsconfig: filepath.Join(dir, "tsconfig.json"), Define: map[string]string{"process.env.NODE_ENV": `"production"`},
	}, err
}

// Make gives the files of dist/ by their names. dir is the folder that has src/ and lib/. The error has what is wrong with the
// sources, a line each.
func Make(dir string) (map[string][]byte, error) {
	o, err := options(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	later := o // what pages load when they want it, as a module
	later.EntryPoints, later.Format = []string{"src/layout.ts", "src/plot.ts"}, api.FormatESModule
	for _, o := range []api.BuildOptions{o, later} {
		result := api.Build(o)
		if len(result.Errors) > 0 {
			return nil, errors.New(strings.Join(api.FormatMessages(result.Errors, api.FormatMessagesOptions{}), ""))
		}
		for _, f := range result.OutputFiles {
			files[filepath.Base(f.Path)] = f.Contents
		}
	}
	files["icon.svg"], err = os.ReadFile(filepath.Join(dir, "src", "icon.svg"))
	return files, err
}

// Write makes the files of dist/, in place of those that are there.
func Write(dir string) error {
	files, err := Make(dir)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "dist")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Watch makes them again whenever a source has changed, and says so, until stop is closed.
func Watch(dir string, stop <-chan struct{}) error {
	o, err := options(dir)
	if err != nil {
		return err
	}
	o.Plugins = []api.Plugin{{Name: "write", Setup: func(b api.PluginBuild) {
		b.OnEnd(func(r *api.BuildResult) (api.OnEndResult, error) {
			if len(r.Errors) > 0 {
				fmt.Fprint(os.Stderr, strings.Join(api.FormatMessages(r.Errors, api.FormatMessagesOptions{}), ""))
				return api.OnEndResult{}, nil
			}
			err := Write(dir)
			fmt.Fprintln(os.Stderr, "made dist/", err)
			return api.OnEndResult{}, nil
		})
	}}}
	c, failed := api.Context(o)
	if failed != nil {
		return failed
	}
	defer c.Dispose()
	if err := c.Watch(api.WatchOptions{}); err != nil {
		return err
	}
	<-stop
	return nil
}
