package types_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/projectionist/projectionist/api/console/build/types"
)

// What the console's sources say of answers is what the Go types say.
func TestTypes(t *testing.T) {
	want, err := types.Make()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../../src/api.gen.ts"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("src/api.gen.ts is not what the answers' types make (%v): run make console", err)
	}
}
