package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	if err := readEnvFile(path); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("CLI_TEST_SET=file\nexport CLI_TEST_UNSET='a b'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLI_TEST_SET", "environment")
	t.Setenv("CLI_TEST_UNSET", "") // put back at the end
	os.Unsetenv("CLI_TEST_UNSET")
	if err := readEnvFile(path); err != nil {
		t.Fatal(err)
	}
	if a, b := os.Getenv("CLI_TEST_SET"), os.Getenv("CLI_TEST_UNSET"); a != "environment" || b != "a b" {
		t.Errorf("got %q and %q", a, b)
	}
	if err := os.WriteFile(path, []byte("secret without a name\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readEnvFile(path); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestReadEnv(t *testing.T) {
	got, err := readEnv(strings.NewReader("\ufeff# keys\r\n\r\nexport TMDB_API_KEY=\"a b\\\"c\\n\" # mine\r\nPLAIN = x#y # z\nSINGLE='a\\n#'\nEMPTY=\nNONE= # nothing\nPLAIN=last"))
	want := map[string]string{"TMDB_API_KEY": "a b\"c\n", "PLAIN": "last", "SINGLE": `a\n#`, "EMPTY": "", "NONE": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err = readEnv(strings.NewReader("PLAIN = x#y # z\nexported=1")); err != nil || got["PLAIN"] != "x#y" || got["exported"] != "1" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range []string{"A=1\nsecret", "A=1\n=secret", "A=1\n1A=secret", "A=1\nB=\"secret", "A=1\nB='x' secret", "A=1\nB C=secret"} {
		_, err := readEnv(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What could be taken for something else in a password or an address stays as it is.
func TestReadEnvSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"A=pa$word": "pa$word", "A=pa$WORD": "pa$WORD", "A=\"pa$WORD\"": "pa$WORD", "A=${HOME}": "${HOME}", "A=##x##": "", "A=x##y#": "x##y#",
		"A=http://h/?a=1&b=2#c": "http://h/?a=1&b=2#c", "A=a\\nb": "a\\nb", "A=x # it's mine": "x", "A=x#y # it's mine": "x#y", "A='x' # it's mine": "x", "A=eyJ.eyJ.s-_g== ": "eyJ.eyJ.s-_g==",
		"# A=0\nA=1": "1", "A=\"\\u00fc#\"": "ü#",
	} {
		got, err := readEnv(strings.NewReader(text))
		if err != nil || got["A"] != want {
			t.Errorf("%q: %q, %v; want %q", text, got["A"], err, want)
		}
	}
	if _, err := readEnv(strings.NewReader(strings.Repeat("A=1\n", 1<<18) + "B=2")); err == nil {
		t.Error("a file without end is read")
	}
}
