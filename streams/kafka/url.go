package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// Scheme begins the URL of a log on Kafka.
const Scheme = "kafka"

// ParseURL reads "kafka://host:9092,host2:9092?tls=true&sasl=SCRAM-SHA-512&user=anna&password_file=/run/pw".
// A host without a port gets 9092. Parameters, all optional:
//
//	tls            true encrypts; implied by the other tls_ ones
//	tls_ca         PEM file of the authorities that sign the brokers' certificates; default the system's
//	tls_cert       PEM file of this client's certificate, with tls_key for its key
//	sasl           PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
//	user           with sasl
//	password_file  file with the password; its last line break is cut. Or password, which others may see
//	client_id      Options.ClientID
//	replication    Options.ReplicationFactor
//	prefix         Options.TopicPrefix
//
// Options.Dir is left to the caller. Errors are fault.Invalid, for everything at once, and never show a
// password.
func ParseURL(s string) (Options, error) {
	rest, ok := strings.CutPrefix(s, Scheme+"://")
	if !ok {
		return Options{}, fault.Field("log", "the log's URL does not begin with %s://; want such as %s://127.0.0.1:9092", Scheme, Scheme)
	}
	hosts, query, _ := strings.Cut(rest, "?")
	hosts = strings.TrimSuffix(hosts, "/")
	if strings.ContainsAny(hosts, "@/#") {
		return Options{}, fault.Field("log", "between %s:// and ? stand hosts alone, such as a:9092,b:9092; a user goes to user=", Scheme)
	}
	var o Options
	for _, h := range strings.Split(hosts, ",") {
		if h = strings.TrimSpace(h); h == "" {
			continue
		}
		if !strings.Contains(h, ":") || strings.HasSuffix(h, "]") {
			h += ":9092"
		}
		o.Brokers = append(o.Brokers, h)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Options{}, fault.Field("log", "the parameters after ? of the log's URL are not well formed")
	}
	var errs []error
	bad := func(field, format string, args ...any) { errs = append(errs, fault.Field(field, format, args...)) }
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(values[name]) > 1 {
			bad(name, "given %d times", len(values[name]))
		}
		switch name {
		case "tls", "tls_ca", "tls_cert", "tls_key", "sasl", "user", "password", "password_file", "client_id", "replication", "prefix":
		default:
			bad(name, "unknown parameter of the log's URL")
		}
	}
	o.ClientID, o.TopicPrefix = values.Get("client_id"), values.Get("prefix")
	if v := values.Get("replication"); v != "" {
		if o.ReplicationFactor, err = strconv.Atoi(v); err != nil || o.ReplicationFactor < 1 {
			bad("replication", "%q; want a number from 1", v)
		}
	}
	if o.TLS, err = urlTLS(values); err != nil {
		errs = append(errs, err)
	}
	if o.SASL, err = urlSASL(values); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, o.Validate())
	if err := errors.Join(errs...); err != nil {
		return Options{}, fault.Wrap(fault.Invalid, err, "the log's URL")
	}
	return o, nil
}

func urlTLS(v url.Values) (*tls.Config, error) {
	ca, cert, key := v.Get("tls_ca"), v.Get("tls_cert"), v.Get("tls_key")
	on := ca != "" || cert != "" || key != ""
	if s := v.Get("tls"); s != "" {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return nil, fault.Field("tls", "%q; want true or false", s)
		}
		if on && !b {
			return nil, fault.Field("tls", "false, but certificates are given")
		}
		on = b
	}
	if !on {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fault.Field("tls_ca", "%v", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.Field("tls_ca", "%s holds no PEM certificate", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fault.Field("tls_cert", "the client's certificate and key cannot be used: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func urlSASL(v url.Values) (*SASL, error) {
	s := &SASL{Mechanism: strings.ToUpper(v.Get("sasl")), User: v.Get("user"), Password: v.Get("password")}
	file := v.Get("password_file")
	if s.Mechanism == "" {
		if s.User != "" || s.Password != "" || file != "" {
			return nil, fault.Field("sasl", "a user or password is given without sasl=; want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil, nil
	}
	if file != "" {
		if s.Password != "" {
			return nil, fault.Field("password_file", "given together with password")
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.Field("password_file", "%v", err)
		}
		s.Password = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	}
	return s, nil
}
