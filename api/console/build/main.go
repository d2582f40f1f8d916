// Command build makes api/console/dist of api/console/src and lib: go run ./api/console/build, in the project's folder.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/projectionist/projectionist/api/console/build/bundle"
)

func main() {
	dir := flag.String("dir", "api/console", "the folder that has src/ and lib/")
	watch := flag.Bool("watch", false, "go on, and make it again after each change")
	flag.Parse()
	do := bundle.Write
	if *watch {
		do = func(dir string) error { return bundle.Watch(dir, nil) }
	}
	if err := do(*dir); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
}
