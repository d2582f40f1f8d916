// Projectionist is an event-sourced film recommender. See README.md, and `projectionist --help`.
package main

import (
	"os"

	"github.com/projectionist/projectionist/internal/cli"
)

func main() { os.Exit(cli.Main()) }
