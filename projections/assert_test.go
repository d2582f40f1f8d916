package projections_test

import (
	"encoding/json"
	"testing"
)

func must0(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		must0(t, err)
		return v
	}
}

func found[T any](t testing.TB) func(T, bool, error) T {
	return func(v T, ok bool, err error) T {
		t.Helper()
		must0(t, err)
		if !ok {
			t.Fatal("not found")
		}
		return v
	}
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := show(got), show(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
