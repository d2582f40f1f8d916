package arch_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is a part of a document, from one heading to the next.
type section struct {
	level  string          // "##"
	blocks []string        // of code, in order
	spans  map[string]bool // of code in lines, and addresses
}

var (
	block = regexp.MustCompile("(?ms)^```.*?^```$")
	span  = regexp.MustCompile("`[^`]+`|<https?://[^>]+>")
	blank = regexp.MustCompile(`\s+`)
)

func sections(t *testing.T, name string) (all []section) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	text := block.ReplaceAllStringFunc(string(raw), func(b string) string {
		blocks = append(blocks, b)
		return fmt.Sprintf("\x00%d\x00", len(blocks)-1)
	})
	for _, part := range regexp.MustCompile(`(?m)^#`).Split(text, -1)[1:] {
		s := section{level: "#" + part[:strings.IndexByte(part, ' ')], spans: map[string]bool{}}
		for _, n := range regexp.MustCompile("\x00[0-9]+\x00").FindAllString(part, -1) {
			var i int
			fmt.Sscanf(n, "\x00%d\x00", &i) //nolint:errcheck // it was written above
			s.blocks = append(s.blocks, blocks[i])
		}
		for _, c := range span.FindAllString(part, -1) {
			s.spans[blank.ReplaceAllString(c, " ")] = true
		}
		all = append(all, s)
	}
	return all
}

// TestReadmes: the README in another language has the same sections in the same order, and in each the same blocks of
// code, and the same commands, settings and addresses in its sentences.
func TestReadmes(t *testing.T) {
	const first, second = "README.md", "README.ko.md"
	a, b := sections(t, first), sections(t, second)
	if len(a) != len(b) || len(a) < 10 {
		t.Fatalf("%s has %d sections, %s %d", first, len(a), second, len(b))
	}
	for i := range a {
		if a[i].level != b[i].level || len(a[i].blocks) != len(b[i].blocks) {
			t.Errorf("section %d: %s with %d blocks in %s, %s with %d in %s", i+1, a[i].level, len(a[i].blocks), first, b[i].level, len(b[i].blocks), second)
			continue
		}
		for j := range a[i].blocks {
			if a[i].blocks[j] != b[i].blocks[j] {
				t.Errorf("section %d, block %d differs:\n%s\nin %s:\n%s", i+1, j+1, a[i].blocks[j], second, b[i].blocks[j])
			}
		}
		for _, c := range slices.Sorted(maps.Keys(a[i].spans)) {
			if !b[i].spans[c] {
				t.Errorf("section %d of %s does not speak of %s", i+1, second, c)
			}
		}
		for _, c := range slices.Sorted(maps.Keys(b[i].spans)) {
			if !a[i].spans[c] {
				t.Errorf("section %d of %s speaks of %s, which %s does not", i+1, second, c, first)
			}
		}
	}
}
