package kafka

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// secureEnv is the URL of a cluster with TLS and SASL: cluster.sh secure prints it.
const secureEnv = "PROJECTIONIST_TEST_KAFKA_SECURE"

// TestSecure opens a log over TLS with every mechanism, and with wrong credentials.
func TestSecure(t *testing.T) {
	given := os.Getenv(secureEnv)
	if given == "" {
		t.Skipf("SKIPPED: no Kafka with TLS and SASL: set %s (deploy/kafka/cluster.sh up --secure, then secure SCRAM-SHA-512)", secureEnv)
	}
	base, query, _ := strings.Cut(given, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T, change func(url.Values)) (*Log, error) {
		t.Helper()
		v := url.Values{}
		for k := range values {
			v.Set(k, values.Get(k))
		}
		change(v)
		opts, err := ParseURL(base + "?" + v.Encode())
		if err != nil {
			t.Fatal(err)
		}
		opts.TopicPrefix, opts.Logf, opts.ReadTimeout = "secure.", t.Logf, 3*time.Second
		l, err := Open(newContext(t), opts)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return l, err
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			l, err := open(t, func(v url.Values) { v.Set("sasl", mechanism) })
			if err != nil {
				t.Fatal(err)
			}
			id := t.Name() + time.Now().Format(time.RFC3339Nano)
			r, err := l.Ledger().Append(newContext(t), testCommit(id, "model/als", streams.AnyRevision, 1))
			if err != nil {
				t.Fatal(err)
			}
			all := commitsOf(t, l, r.Position.Offset)
			if last := all[len(all)-1]; last.ID != id {
				t.Fatalf("read %s; want %s", last.ID, id)
			}
		})
		t.Run(mechanism+"_WrongPassword", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte("wrong"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, func(v url.Values) { v.Set("sasl", mechanism); v.Set("password_file", file) })
			if !fault.Is(err, fault.Forbidden) {
				t.Fatalf("%v; want code %s", err, fault.Forbidden)
			}
		})
	}
	t.Run("UnknownAuthority", func(t *testing.T) {
		_, err := open(t, func(v url.Values) { v.Del("tls_ca"); v.Set("tls", "true") })
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Fatalf("%v; want an error about the certificate", err)
		}
	})
	t.Run("NoTLS", func(t *testing.T) {
		if _, err := open(t, func(v url.Values) { v.Del("tls_ca") }); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("%v; want code %s", err, fault.Unavailable)
		}
	})
}
