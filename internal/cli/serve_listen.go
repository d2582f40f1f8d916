package cli

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/spf13/cobra"
)

const (
	envListen = "PROJECTIONIST_LISTEN" // main address; PROJECTIONIST_LISTEN_NAME for another listener's
	envUsers  = "PROJECTIONIST_USERS"  // name:password,…: who may ask, beside whoever has the token
	off       = "off"
)

// listenFlags are those about where HTTP is answered.
func (s *serving) listenFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "", "main address to listen on, default $"+envListen+" or "+app.ListenDefault+";\nbeyond this machine only with $"+envToken+" or $"+envUsers)
	s.also = map[string]*string{}
	for _, l := range app.Listeners() {
		s.also[l.Name] = f.String("listen-"+l.Name, "", fmt.Sprintf("address for %s, or off; default $%s, or %s\nbeside the default --listen, else off", l.What, listenVariable(l.Name), l.Default))
	}
}

func listenVariable(listener string) string { return envListen + "_" + strings.ToUpper(listener) }

// addresses puts into o where to answer, whom, and with what certificate.
func (s *serving) addresses(o *app.Options) (err error) {
	s.listen = cmp.Or(s.listen, os.Getenv(envListen), app.ListenDefault)
	o.Listen, o.Also, o.Token = s.listen, map[string]string{}, os.Getenv(envToken)
	if o.Users, err = users(os.Getenv(envUsers)); err != nil {
		return err
	}
	for _, l := range app.Listeners() {
		at := cmp.Or(*s.also[l.Name], os.Getenv(listenVariable(l.Name)))
		if at == "" && s.listen == app.ListenDefault {
			at = l.Default
		}
		if at != "" && at != off {
			o.Also[l.Name] = at
		}
	}
	if o.Kafka, o.KafkaTLS, err = s.door(); err != nil {
		return err
	}
	o.KafkaAdvertised = s.advertise
	return app.CheckListen(*o)
}

// users reads name:password pairs with commas between. A password may hold a colon, but no comma.
func users(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	all := map[string]string{}
	for i, pair := range strings.Split(text, ",") {
		name, password, ok := strings.Cut(strings.TrimSpace(pair), ":")
		if !ok || name == "" {
			return nil, fault.Field(envUsers, "the %d. of them is no name:password", i+1).WithHint("separate users with commas, such as anna:secret,ben:other")
		}
		if _, twice := all[name]; twice {
			return nil, fault.Field(envUsers, "%s is there twice", name)
		}
		all[name] = password
	}
	return all, nil
}

// listAddresses tells where else than at the first address requests are answered, a line each.
func (s *serving) listAddresses(all []app.Answered, kafka string) {
	for _, a := range all[1:] {
		s.step("  %-10s http://%-22s %s", a.Name, local(a.Address), a.What+forBrowsers(all[0].Address, a))
	}
	if kafka != "" {
		if here, ok := app.ReadServing(s.p.dir); ok && here.Kafka != "" { // with the port that was found where 0 was asked for
			kafka = here.Kafka
		}
		s.step("  %-10s %-29s Kafka's clients", "kafka", comeTo(kafka, s.advertise))
	}
}

// forBrowsers says where a browser finds a page whose port it refuses; nothing where it does not.
func forBrowsers(main string, a app.Answered) string {
	if path := a.BrowserPath(); path != "" {
		return "; browsers refuse this port: http://" + local(main) + path
	}
	return ""
}

// local is an address as somebody at this machine types it.
func local(address string) string {
	if host, port, err := net.SplitHostPort(dialable(address)); err == nil && host == "127.0.0.1" {
		return net.JoinHostPort("localhost", port)
	}
	return address
}
