package kafka

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

func TestParseURL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]Options{
		"kafka://127.0.0.1:9092":                                         {Brokers: []string{"127.0.0.1:9092"}},
		"kafka://a,b:19092, c/":                                          {Brokers: []string{"a:9092", "b:19092", "c:9092"}},
		"kafka://[::1]:19092,[::1]":                                      {Brokers: []string{"[::1]:19092", "[::1]:9092"}},
		"kafka://a:1?tls=true":                                           {Brokers: []string{"a:1"}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}},
		"kafka://a:1?tls=false":                                          {Brokers: []string{"a:1"}},
		"kafka://a:1?prefix=staging.":                                    {Brokers: []string{"a:1"}, TopicPrefix: "staging."},
		"kafka://a:1?replication=2&client_id=node-3":                     {Brokers: []string{"a:1"}, ReplicationFactor: 2, ClientID: "node-3"},
		"kafka://a:1?sasl=PLAIN&user=anna&password=p%26q":                {Brokers: []string{"a:1"}, SASL: &SASL{"PLAIN", "anna", "p&q"}},
		"kafka://a:1?sasl=scram-sha-512&user=anna&password_file=" + file: {Brokers: []string{"a:1"}, SASL: &SASL{"SCRAM-SHA-512", "anna", "s3cret"}},
	} {
		got, err := ParseURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", url, got, want)
		}
	}
}

func TestParseURL_Err(t *testing.T) {
	for url, names := range map[string][]string{
		"":                             {"kafka://"},
		"http://a:9092":                {"kafka://"},
		"kafka://":                     {"brokers"},
		"kafka://?tls=true":            {"brokers"},
		"kafka://a:port":               {"brokers", "a:port"},
		"kafka://a:0":                  {"brokers"},
		"kafka://a:99999":              {"brokers"},
		"kafka://anna:hush@a:9092":     {"user="},
		"kafka://a:9092/topic":         {"hosts"},
		"kafka://a?%zz":                {"parameters"},
		"kafka://a?colour=blue":        {"colour"},
		"kafka://a?tls=yes":            {"tls"},
		"kafka://a?tls=true&tls=true":  {"tls", "2 times"},
		"kafka://a?tls=false&tls_ca=x": {"tls"},
		"kafka://a?tls_ca=/no/such":    {"tls_ca"},
		"kafka://a?tls_cert=/no/such":  {"tls_cert"},
		"kafka://a?sasl=PLAIN":         {"sasl", "user"},
		"kafka://a?sasl=GSSAPI&user=x&password=hush":                      {"GSSAPI"},
		"kafka://a?user=x":                                                {"sasl"},
		"kafka://a?sasl=PLAIN&user=x&password_file=/no/such":              {"password_file"},
		"kafka://a?sasl=PLAIN&user=x&password=hush&password_file=/etc":    {"password_file"},
		"kafka://a?replication=0":                                         {"replication"},
		"kafka://a?prefix=a/b":                                            {"prefix"},
		"kafka://a?replication=x&colour=blue&sasl=Y&user=u&password=hush": {"replication", "colour", "sasl"},
	} {
		o, err := ParseURL(url)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v; want code %s", url, err, fault.Invalid)
			continue
		}
		if !reflect.DeepEqual(o, Options{}) {
			t.Errorf("%s: options %+v beside an error", url, o)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %q does not name %s", url, err, name)
			}
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error %q shows the password", url, err)
		}
	}
}

// TestScram runs the conversations of RFC 5802, 5 (with SHA-256: RFC 7677, 3).
func TestScram(t *testing.T) {
	s := &scram{hash: mechanisms["SCRAM-SHA-256"], nonce: "rOprNGfwEbeRWgbNEkqO"}
	if err := s.Begin("user", "pencil", ""); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{
		{"", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"},
		{"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="},
		{"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ""},
	} {
		if s.Done() {
			t.Fatal("done too early")
		}
		got, err := s.Step(step[0])
		if err != nil || got != step[1] {
			t.Fatalf("answer to %q: %q, %v; want %q", step[0], got, err, step[1])
		}
	}
	if !s.Done() {
		t.Fatal("not done")
	}
}

func TestScram_Err(t *testing.T) {
	first := "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	for name, challenges := range map[string][]string{
		"nonce not ours":      {"r=xbcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		"nonce not continued": {"r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		"few iterations":      {"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"},
		"endless iterations":  {"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000"},
		"no salt":             {"r=abcd,s=,i=4096"},
		"refused":             {"e=unknown-user"},
		"empty":               {""},
		"wrong signature":     {first, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
		"no signature":        {first, ""},
		"refused at the end":  {first, "e=invalid-proof"},
	} {
		s := &scram{hash: mechanisms["SCRAM-SHA-512"], nonce: "abc"}
		if err := s.Begin("u,=", "p", ""); err != nil {
			t.Fatal(err)
		}
		if m, _ := s.Step(""); m != "n,,n=u=2C=3D,r=abc" {
			t.Fatalf("first message %q", m)
		}
		var err error
		for _, c := range challenges {
			if err != nil {
				t.Fatalf("%s: %v too early", name, err)
			}
			_, err = s.Step(c)
		}
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v; want code %s", name, err, fault.Forbidden)
		}
	}
	s := &scram{hash: mechanisms["SCRAM-SHA-256"]}
	if err := s.Begin("u", "p", "other"); err == nil {
		t.Error("an authorization id is taken")
	}
}
