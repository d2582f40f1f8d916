// Command build makes api/console/src/api.gen.ts of the types of answers, and api/console/dist of src and lib: go run ./api/console/build, in the
// project's folder.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/projectionist/projectionist/api/console/build/bundle"
	"github.com/projectionist/projectionist/api/console/build/types"
)

func main() {
	dir := flag.String("dir", "api/console", "the folder that has src/ and lib/")
	watch := flag.Bool("watch", false, "go on, and make it again after each change")
	flag.Parse()
	do := bundle.Write
	if *watch {
		do = func(dir string) error { return bundle.Watch(dir, nil) }
	}
	err := types.Write(*dir)
	if err == nil {
		err = do(*dir)
	}
	if err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
}
