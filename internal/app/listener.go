package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// Listener is an address that the process can answer HTTP on, beside the main one: where the clients of another
// system look for it.
type Listener struct {
	Name    string // "workflows"; its setting is --listen-workflows and PROJECTIONIST_LISTEN_WORKFLOWS
	Default string // host:port beside the default main address
	What    string // that is answered there, for people
}

// Listeners are all there are beside the main one, in the order they are listed.
func Listeners() []Listener { return slices.Clone(listeners) }

var listeners = []Listener{
	{"inference", "127.0.0.1:8001", "ratings, lists and similar films by a model"},
	{"workflows", "127.0.0.1:8080", "workflows and their runs, for Airflow's clients"},
	{"features", "127.0.0.1:6566", "features, for Feast's clients"},
	{RegistryListener, "127.0.0.1:6570", "declarations of features, for Feast's registry (gRPC)"},
	{OfflineListener, "127.0.0.1:8815", "tables of features, for Feast's remote offline store"},
	{"tracking", "127.0.0.1:5000", "experiments, runs and models, for MLflow's clients"},
	{"topics", "127.0.0.1:8082", "topics, messages and consumer groups"},
}

// Names of the addresses that speak gRPC: HTTP/2 without TLS.
const (
	RegistryListener = "registry"
	OfflineListener  = "offline"
)

// MainListener is the name of the address of the program's own API, and its setting is --listen.
const MainListener = "main"

// ListenDefault is the main address where none is given.
const ListenDefault = "127.0.0.1:8000"

// Answered is an address at which requests are answered.
type Answered struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port, with the port that was found where none was given
	What    string `json:"-"`
}

// CheckListen refuses to listen beyond this machine without credentials of one's own.
func CheckListen(o Options) error {
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault.Field("token", "holds a blank or another character than visible ASCII, which no client can send").
			WithHint("set PROJECTIONIST_TOKEN to a secret without blanks, or unset it")
	}
	for user, password := range o.Users {
		if user == "" || strings.Contains(user, ":") {
			return fault.Field("users", "%q is no name of a user", user).WithHint("set PROJECTIONIST_USERS to name:password, with commas between")
		}
		if password == "" {
			return fault.Field("users", "%s has no password", user).WithHint("set PROJECTIONIST_USERS to name:password, with commas between")
		}
	}
	for _, l := range o.addresses() {
		host, _, err := net.SplitHostPort(l.Address)
		if err != nil {
			return fault.Field(setting(l.Name), "%q is no address: want host:port, such as %s", l.Address, defaultOf(l.Name))
		}
		if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		if o.Token == "" && len(o.Users) == 0 {
			return fault.Field(setting(l.Name), "%s can be reached from other machines, and no credentials are set", l.Address).
				WithHint("set PROJECTIONIST_TOKEN to a secret that clients send as a bearer token, or PROJECTIONIST_USERS to name:password, or listen on 127.0.0.1")
		}
		if o.Users[api.UserDefault] == api.PasswordDefault {
			return fault.Field(setting(l.Name), "%s can be reached from other machines, and the password of %s is the one that everybody tries", l.Address, api.UserDefault).
				WithHint("set another in PROJECTIONIST_USERS")
		}
	}
	return nil
}

// addresses are where the program is to answer, the main one first.
func (o *Options) addresses() []Answered {
	all := []Answered{{MainListener, o.Listen, "the program's own API"}}
	if o.Listen == "" {
		all[0].Address = ListenDefault
	}
	for _, l := range listeners {
		if at := o.Also[l.Name]; at != "" {
			all = append(all, Answered{l.Name, at, l.What})
		}
	}
	return all
}

// setting is how an address is chosen.
func setting(listener string) string {
	if listener == MainListener {
		return "listen"
	}
	return "listen-" + listener
}

func defaultOf(listener string) string {
	if i := slices.IndexFunc(listeners, func(l Listener) bool { return l.Name == listener }); i >= 0 {
		return listeners[i].Default
	}
	return ListenDefault
}

// answering is what answers on one address.
type answering struct {
	Answered
	listener net.Listener
	server   *http.Server
}

// listen takes all addresses, or none. Which one another program has is said, with what the others are.
func (a *App) listen() (all []*answering, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				err = errors.Join(err, l.listener.Close())
			}
		}
	}()
	wanted := a.opts.addresses()
	for _, at := range wanted {
		l, err := net.Listen("tcp", at.Address)
		if err != nil {
			return all, taken(at, wanted, a.opts.Kafka, err)
		}
		at.Address = l.Addr().String()
		all = append(all, &answering{at, l, serverOf(a.Servers[at.Name], at.Name)})
	}
	return all, nil
}

func taken(at Answered, wanted []Answered, kafka string, err error) error {
	var others []string
	for _, o := range wanted {
		if o.Name != at.Name {
			others = append(others, o.Name+" "+o.Address)
		}
	}
	if kafka != "" {
		others = append(others, "kafka "+kafka)
	}
	f := fault.Wrap(fault.Unavailable, err, "cannot listen on %s (%s)", at.Address, at.Name).(*fault.Error)
	f.Field = setting(at.Name)
	hint := fmt.Sprintf("another program may have the port: choose another with --%s", setting(at.Name))
	if at.Name != MainListener {
		hint += ", or none with --" + setting(at.Name) + " off"
	}
	if len(others) > 0 {
		hint += "; the other addresses of this process are " + strings.Join(others, ", ")
	}
	return f.WithHint("%s", hint)
}

// checkAlso refuses names of listeners that there are none of.
func checkAlso(also map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(also)) {
		if !slices.ContainsFunc(listeners, func(l Listener) bool { return l.Name == name }) {
			return fault.Field("Also", "there is no listener %q", name)
		}
	}
	return nil
}

func serverOf(h http.Handler, listener string) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	if listener == RegistryListener || listener == OfflineListener { // gRPC, which begins with HTTP/2 at once
		s.Protocols = &http.Protocols{}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
	}
	return s
}

func answered(all []*answering) []Answered {
	at := make([]Answered, len(all))
	for i, l := range all {
		at[i] = l.Answered
	}
	return at
}

// shutdown lets every server answer what it has been asked, until ctx ends; then it is cut off.
func shutdown(ctx context.Context, all []*answering) {
	var ending sync.WaitGroup
	for _, l := range all {
		ending.Go(func() {
			if errors.Is(l.server.Shutdown(ctx), context.DeadlineExceeded) {
				l.server.Close() //nolint:errcheck // of connections that are cut off
			}
		})
	}
	ending.Wait()
}

// Authorise gives a request to a server with these credentials what it has to have: the token, or else a user.
func Authorise(r *http.Request, token string, users map[string]string) {
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		r.SetBasicAuth(name, users[name])
		return
	}
}
