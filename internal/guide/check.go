package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Check is something that must hold of a row.
type Check struct {
	Key, Value string
	pattern    *regexp.Regexp // of says and never
}

// Result is what a row's block came to.
type Result struct {
	Exit        int
	Output, Err []byte // what was printed
	Root        string // the repository's
}

func newCheck(key, value string) (Check, error) {
	c := Check{Key: key, Value: value}
	switch key {
	case "says", "never":
		var err error
		c.pattern, err = regexp.Compile("(?m)" + value)
		return c, err
	case "jq", "file":
		return c, nil
	}
	return c, errors.New("there is no such key")
}

// Holds says why the check does not hold; nil if it does.
func (c *Check) Holds(ctx context.Context, r *Result) error {
	switch c.Key {
	case "jq":
		cmd := exec.CommandContext(ctx, "jq", "-e", "-n", `[inputs] | if length == 0 then error("nothing was printed") else last end | (`+c.Value+")")
		cmd.Stdin = bytes.NewReader(r.Output)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("jq %s: %s", c.Value, strings.TrimSpace(string(out)))
		}
	case "says":
		if !c.pattern.Match(r.Output) && !c.pattern.Match(r.Err) {
			return fmt.Errorf("nothing printed matches %s", c.Value)
		}
	case "never":
		for _, b := range [][]byte{r.Output, r.Err} {
			if m := c.pattern.Find(b); m != nil {
				return fmt.Errorf("%q was printed, which matches %s", m, c.Value)
			}
		}
	case "file":
		info, err := os.Stat(filepath.Join(r.Root, filepath.FromSlash(c.Value)))
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			return fmt.Errorf("%s is empty", c.Value)
		}
	}
	return nil
}

// holds says what does not hold of a row; nil if all does.
func (r *Row) holds(ctx context.Context, res *Result) error {
	var errs []error
	if res.Exit != r.Exit {
		errs = append(errs, fmt.Errorf("exit status %d; want %d", res.Exit, r.Exit))
	}
	for i := range r.Checks {
		errs = append(errs, r.Checks[i].Holds(ctx, res))
	}
	return errors.Join(errs...)
}
