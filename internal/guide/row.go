package main

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Row is a block of commands of the guide, and what must hold of it.
type Row struct {
	ID, Title string
	Line      int // of the block
	Language  string
	Code      string // as typed

	Needs   []string
	Instead string
	Within  time.Duration
	Exit    int
	Checks  []Check
	Stop    bool // nothing is run after a failure
}

const withinMax = 10 * time.Minute

var (
	rowStart = regexp.MustCompile(`^<!-- row ([0-9]+\.[0-9]+) (.+)$`)
	fence    = regexp.MustCompile("^```([a-z]*)$")
	field    = regexp.MustCompile(`^([a-z]+): +(.*\S)$`)
)

// Parse reads the rows of a guide. The error has all that is wrong, each with its line.
func Parse(text string) (rows []Row, err error) {
	p := parser{lines: bufio.NewScanner(strings.NewReader(text)), ids: map[string]bool{}}
	for p.scan() {
		switch start, block := rowStart.FindStringSubmatch(p.line), fence.FindStringSubmatch(p.line); {
		case start != nil:
			p.row(start[1], start[2])
		case strings.HasPrefix(p.line, "<!-- row"):
			p.wrong("a row begins with <!-- row STAGE.NUMBER TITLE")
		case block != nil:
			p.block(block[1])
		case strings.HasPrefix(p.line, "```"):
			p.wrong("a block begins with ``` and its language alone")
		case p.open != nil && p.line != "":
			p.wrong("row %s has text between it and its block", p.open.ID)
			p.open = nil
		}
	}
	if p.open != nil {
		p.wrong("row %s has no block", p.open.ID)
	}
	return p.rows, errors.Join(append(p.errs, p.lines.Err())...)
}

type parser struct {
	lines *bufio.Scanner
	line  string
	n     int
	rows  []Row
	open  *Row // whose block is to come
	ids   map[string]bool
	errs  []error
}

func (p *parser) scan() bool {
	if !p.lines.Scan() {
		return false
	}
	p.line, p.n = p.lines.Text(), p.n+1
	return true
}

func (p *parser) wrong(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("line %d: %s", p.n, fmt.Sprintf(format, args...)))
}

// row reads the comment of one, after its first line.
func (p *parser) row(id, title string) {
	if p.open != nil {
		p.wrong("row %s has no block", p.open.ID)
	}
	if p.ids[id] {
		p.wrong("row %s is there twice", id)
	}
	p.ids[id] = true
	r := &Row{ID: id, Title: title}
	for p.scan() && p.line != "-->" {
		f := field.FindStringSubmatch(p.line)
		if f == nil {
			p.wrong("row %s: want KEY: VALUE, or --> by itself", id)
			continue
		}
		if err := r.set(f[1], f[2]); err != nil {
			p.wrong("row %s: %s: %v", id, f[1], err)
		}
	}
	if p.line != "-->" {
		p.wrong("row %s: its comment does not end", id)
	}
	if len(r.Checks) == 0 {
		p.wrong("row %s checks nothing: want jq, says, never or file", id)
	}
	p.open = r
}

func (r *Row) set(key, value string) (err error) {
	switch key {
	case "needs":
		r.Needs = strings.Fields(value)
		for _, n := range r.Needs {
			if _, ok := needs[n]; !ok {
				return fmt.Errorf("there is no need %s; there are %s", n, strings.Join(sortedKeys(needs), ", "))
			}
		}
	case "instead":
		r.Instead = value
	case "within":
		r.Within, err = time.ParseDuration(value)
		if err == nil && (r.Within <= 0 || r.Within > withinMax) {
			err = fmt.Errorf("want more than 0 and at most %v", withinMax)
		}
	case "exit":
		r.Exit, err = strconv.Atoi(value)
	case "or":
		if r.Stop = value == "stop"; !r.Stop {
			err = errors.New("want stop")
		}
	default:
		var c Check
		if c, err = newCheck(key, value); err == nil {
			r.Checks = append(r.Checks, c)
		}
	}
	return err
}

// block reads one to its end. Of sh and python each is a row's.
func (p *parser) block(language string) {
	first := p.n + 1
	var code []string
	for p.scan() && p.line != "```" {
		code = append(code, p.line)
	}
	if p.line != "```" {
		p.wrong("the block of line %d does not end", first-1)
	}
	isRow := language == "sh" || language == "python"
	switch {
	case isRow && p.open == nil:
		p.wrong("the block of line %d is no row: nothing says what must hold", first-1)
	case !isRow && p.open != nil:
		p.wrong("row %s is in %q; want sh or python", p.open.ID, language)
	case isRow:
		p.open.Language, p.open.Code, p.open.Line = language, strings.Join(code, "\n")+"\n", first
		p.rows = append(p.rows, *p.open)
	}
	p.open = nil
}

// Missing are the lines of the list that no row has. A line of the list is a row's id, blanks, and what its block has
// in it; empty lines and those that begin with # are none.
func Missing(list string, rows []Row) (missing []string) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, text, _ := strings.Cut(line, " ")
		i := slices.IndexFunc(rows, func(r Row) bool { return r.ID == id })
		if i < 0 || !strings.Contains(rows[i].Code, strings.TrimSpace(text)) {
			missing = append(missing, line)
		}
	}
	return missing
}
