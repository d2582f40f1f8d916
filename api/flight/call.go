package flight

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
)

// command is what Feast's client asks for, in JSON.
type command struct {
	API string `json:"api"`

	FeatureViewNames []string  `json:"feature_view_names"`
	NameAliases      []*string `json:"name_aliases"`
	FeatureRefs      []string  `json:"feature_refs"`
	FullFeatureNames bool      `json:"full_feature_names"`
	EntitySQL        *string   `json:"entity_df_sql"`

	DataSourceName         string   `json:"data_source_name"`
	DataSourceProto        string   `json:"data_source_proto"` // JSON
	JoinKeyColumns         []string `json:"join_key_columns"`
	FeatureNameColumns     []string `json:"feature_name_columns"`
	TimestampField         string   `json:"timestamp_field"`
	CreatedTimestampColumn *string  `json:"created_timestamp_column"`
	StartDate              *string  `json:"start_date"`
	EndDate                *string  `json:"end_date"`

	FeatureServiceName string `json:"feature_service_name"`
}

func parseCommand(b []byte) (c command, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fault.Wrap(fault.Invalid, err, "the command is not what Feast's remote offline store sends")
	}
	if c.API == "" {
		return c, fault.Field("api", "is missing").WithHint("name what to do, such as get_historical_features")
	}
	return c, nil
}

// put is a table that was sent, with its command.
type put struct {
	command []byte
	body    *spill.File // messages as they came
	at      time.Time
}

// receive takes a stream of messages, of which the first names the command.
func (s *Surface) receive(w http.ResponseWriter, r *http.Request) (_ *put, err error) {
	p := &put{body: spill.NewFile(s.ScratchDir, spoolMemoryBytes), at: s.Now()}
	defer func() {
		if err != nil {
			p.body.Close() //nolint:errcheck // scratch is emptied at start
		}
	}()
	if err := api.ReceiveBody(w, r, bodyBytesMax, p.body); err != nil {
		return nil, err
	}
	first, err := (&frames{in: p.body.Open()}).next()
	if err == io.EOF {
		return nil, fault.New(fault.Invalid, "the stream is empty").WithHint("begin with a schema and a command")
	}
	if err != nil {
		return nil, err
	}
	d, err := readData(first)
	if err != nil {
		return nil, err
	}
	command, err := commandOf(d.descriptor)
	p.command = slices.Clone(command)
	return p, err
}

// doExchange answers a read in the stream that asks for it, as clients since Feast 0.60 do.
func (s *Surface) doExchange(w http.ResponseWriter, r *http.Request) error {
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	p, err := s.receive(w, r)
	if err != nil {
		return err
	}
	defer p.body.Close() //nolint:errcheck
	return s.read(w, r, p)
}

// read answers a command that reads.
func (s *Surface) read(w http.ResponseWriter, r *http.Request, p *put) error {
	c, err := parseCommand(p.command)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	a := &answer{w: w, r: r}
	switch c.API {
	case "get_historical_features":
		err = s.historical(ctx, a, &c, p)
	case "pull_latest_from_table_or_query", "pull_all_from_table_or_query":
		err = s.pull(ctx, a, &c)
	case "get_table_column_names_and_types_from_data_source":
		err = s.columnsOf(a, &c)
	default:
		err = fault.Field("api", "%q is no read", api.Short(c.API)).WithHint("reads are get_historical_features, pull_latest_from_table_or_query, " +
			"pull_all_from_table_or_query and get_table_column_names_and_types_from_data_source")
	}
	return a.end(err)
}

// doPut takes a write, or the first half of a read of older clients, who ask for its flight then.
func (s *Surface) doPut(w http.ResponseWriter, r *http.Request) error {
	p, err := s.receive(w, r)
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			p.body.Close() //nolint:errcheck
		}
	}()
	c, err := parseCommand(p.command)
	if err != nil {
		return err
	}
	switch c.API {
	case "validate_data_source":
		_, err = c.source() // what it has is found out when it is read: of a view that is filled by push there is nothing to read
	case "offline_write_batch":
		err = s.offlineWrite(r, &c, p)
	case "write_logged_features":
		err = fault.New(fault.Invalid, "features that were served are not written to a source: the log has what was served and when").
			WithHint("join the rows of the moment that you want to see again")
	case "persist":
		err = fault.New(fault.Invalid, "a training set is not written to a data source of Feast's").
			WithHint("keep it here, as `projectionist datasets create NAME --entities rows.csv`, or save the DataFrame with to_df()")
	default:
		kept, err = true, s.keep(p)
	}
	if err != nil {
		return err
	}
	return (&answer{w: w, r: r}).end(nil)
}

// keep remembers a table until it is asked for.
func (s *Surface) keep(p *put) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, old := range s.puts {
		if p.at.Sub(old.at) > putKept || name == string(p.command) {
			old.body.Close() //nolint:errcheck // scratch is emptied at start
			delete(s.puts, name)
		}
	}
	if len(s.puts) >= putsMax {
		p.body.Close() //nolint:errcheck
		return fault.New(fault.Unavailable, "%d tables were put, and not asked for yet", putsMax).WithHint("try again in some minutes, or use do_exchange, as newer clients of Feast do")
	}
	s.puts[string(p.command)] = p
	return nil
}

// unary reads the one message of a request.
func unary(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := api.ReadBody(w, r, commandBytesMax)
	if err != nil {
		return nil, err
	}
	b, err := (&frames{in: strings.NewReader(string(body))}).next()
	if err == io.EOF {
		return nil, fault.New(fault.Invalid, "the request has no message")
	}
	return slices.Clone(b), err
}

// getFlightInfo says how to get the table of a command that was put: the ticket is the command.
func (s *Surface) getFlightInfo(w http.ResponseWriter, r *http.Request) error {
	descriptor, err := unary(w, r)
	if err != nil {
		return err
	}
	command, err := commandOf(descriptor)
	if err != nil {
		return err
	}
	s.mu.Lock()
	_, ok := s.puts[string(command)]
	s.mu.Unlock()
	if !ok {
		return noFlight()
	}
	a := &answer{w: w, r: r}
	return a.end(a.send(flightInfo(descriptor, command)))
}

func flightInfo(descriptor, command []byte) []byte {
	info := appendField(nil, 2, descriptor)
	return appendField(info, 3, appendField(nil, 1, appendField(nil, 1, command)))
}

func noFlight() error {
	return fault.New(fault.NotFound, "there is no such flight").WithHint("put its command first; it is kept for some minutes, and until it is read")
}

func (s *Surface) doGet(w http.ResponseWriter, r *http.Request) error {
	ticket, err := unary(w, r)
	if err != nil {
		return err
	}
	var command []byte
	if err := fields(ticket, func(_ protowire.Number, value []byte) { command = value }); err != nil {
		return err
	}
	s.mu.Lock()
	p := s.puts[string(command)]
	delete(s.puts, string(command))
	s.mu.Unlock()
	if p == nil {
		return noFlight()
	}
	defer p.body.Close() //nolint:errcheck
	return s.read(w, r, p)
}

func (s *Surface) listFlights(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	var all []string
	for command := range s.puts {
		all = append(all, command)
	}
	s.mu.Unlock()
	slices.Sort(all)
	a := &answer{w: w, r: r}
	for _, command := range all {
		descriptor := appendField([]byte{1 << 3, 2}, 2, []byte(command)) // type CMD
		if err := a.send(flightInfo(descriptor, []byte(command))); err != nil {
			return a.end(err)
		}
	}
	return a.end(nil)
}

// listActions lists none: what Feast's server lists there, its own client puts.
func (s *Surface) listActions(w http.ResponseWriter, r *http.Request) error {
	return (&answer{w: w, r: r}).end(nil)
}
