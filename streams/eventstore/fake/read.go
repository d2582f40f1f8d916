package fake

import (
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type readCall = streams.Streams_ReadServer

func invalid(what string) error { return status.Error(codes.InvalidArgument, what) }

func (v streamsService) Read(req *streams.ReadReq, call readCall) error {
	s, o := v.s, req.GetOptions()
	if o == nil || o.UuidOption == nil {
		return invalid("'uuidOption' is required")
	}
	if o.GetControlOption().GetCompatibility() > 1 {
		return invalid("compatibility")
	}
	if err := s.leads(call.Context(), call.SetTrailer); err != nil {
		return err
	}
	f, err := parseFilter(o)
	if err != nil {
		return err
	}
	subscribes := o.GetSubscription() != nil
	if !subscribes {
		if _, ok := o.CountOption.(*streams.ReadReq_Options_Count); !ok || o.GetCount() == 0 {
			return invalid("count")
		}
	}
	backwards := o.ReadDirection == streams.ReadReq_Options_Backwards
	if subscribes && backwards {
		return invalid("a subscription runs forwards")
	}
	if subscribes {
		s.count("subscribe")
	} else {
		s.count("read")
	}
	switch from := o.StreamOption.(type) {
	case *streams.ReadReq_Options_Stream:
		if f != nil {
			return invalid("a stream has no filter")
		}
		if subscribes {
			return s.subscribeStream(from.Stream, call)
		}
		return s.readStream(from.Stream, backwards, o.GetCount(), call)
	case *streams.ReadReq_Options_All:
		if subscribes {
			return s.subscribeAll(from.All, f, call)
		}
		return s.readAll(from.All, backwards, o.GetCount(), f, call)
	}
	return invalid("stream or $all")
}

// filter of $all.
type filter struct {
	match  func(*Event) bool
	window uint32
	every  uint32 // events between checkpoints
}

func parseFilter(o *streams.ReadReq_Options) (*filter, error) {
	var spec *streams.ReadReq_Options_FilterOptions
	switch fo := o.FilterOption.(type) {
	case *streams.ReadReq_Options_NoFilter:
		return nil, nil
	case *streams.ReadReq_Options_Filter:
		spec = fo.Filter
	default:
		return nil, invalid("filter or no filter")
	}
	f := &filter{window: 32}
	switch w := spec.Window.(type) {
	case *streams.ReadReq_Options_FilterOptions_Max:
		f.window = w.Max
	case *streams.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, invalid("filter window")
	}
	if spec.CheckpointIntervalMultiplier == 0 || f.window == 0 {
		return nil, status.Error(codes.Unknown, "checkpointIntervalMultiplier must be a non-zero value")
	}
	f.every = f.window * spec.CheckpointIntervalMultiplier
	var e *streams.ReadReq_Options_FilterOptions_Expression
	text := func(ev *Event) string { return ev.Stream }
	switch x := spec.Filter.(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		e = x.StreamIdentifier
	case *streams.ReadReq_Options_FilterOptions_EventType:
		e = x.EventType
		text = func(ev *Event) string { return ev.Type }
	default:
		return nil, invalid("filter")
	}
	if e.Regex != "" {
		re, err := regexp.Compile(e.Regex)
		if err != nil {
			return nil, invalid("regex")
		}
		f.match = func(ev *Event) bool { return re.MatchString(text(ev)) }
		return f, nil
	}
	if len(e.Prefix) == 0 {
		return nil, invalid("filter without prefix")
	}
	f.match = func(ev *Event) bool {
		return slices.ContainsFunc(e.Prefix, func(p string) bool { return strings.HasPrefix(text(ev), p) })
	}
	return f, nil
}

func (s *Server) readStream(o *streams.ReadReq_Options_StreamOptions, backwards bool, count uint64, call readCall) error {
	name := string(o.GetStreamIdentifier().GetStreamName())
	events, err := s.streamEvents(name, call)
	if err != nil {
		return err
	}
	if events == nil {
		return call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: o.StreamIdentifier}}})
	}
	var from uint64
	switch r := o.RevisionOption.(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if from = r.Revision; from > math.MaxInt64 {
			return invalid("revision")
		}
	case *streams.ReadReq_Options_StreamOptions_Start:
	case *streams.ReadReq_Options_StreamOptions_End:
		if from = math.MaxInt64; !backwards {
			return nil // nothing is after the end
		}
	default:
		return invalid("revision")
	}
	if backwards {
		slices.Reverse(events)
	}
	for i := range events {
		if number := events[i].Number; !backwards && number < from || backwards && number > from {
			continue
		}
		if count == 0 {
			break
		}
		count--
		if err := call.Send(readEvent(&events[i])); err != nil {
			return err
		}
	}
	return nil
}

// streamEvents are the stream's events that are not deleted; nil for no stream.
func (s *Server) streamEvents(name string, call readCall) ([]Event, error) {
	if name == "" {
		return nil, invalid("no stream")
	}
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	st := s.streams[name]
	if st == nil || s.softDeleted(name) {
		return nil, nil
	}
	if st.tombstoned {
		return nil, streamDeleted(call.SetTrailer, name)
	}
	first := s.truncateBefore(name)
	events := []Event{}
	for _, i := range st.events {
		if s.events[i].Number >= first {
			events = append(events, s.events[i])
		}
	}
	return events, nil
}

// allFrom is the position from which to read; exists is false for the end or the start.
func (s *Store) allFrom(o *streams.ReadReq_Options_AllOptions) (position uint64, start, end bool, err error) {
	switch p := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return 0, true, false, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return 0, false, true, nil
	case *streams.ReadReq_Options_AllOptions_Position:
		if p.Position.CommitPosition != p.Position.PreparePosition {
			return 0, false, false, invalid("Trying to read from an invalid position.")
		}
		position = p.Position.CommitPosition
		i := sort.Search(len(s.events), func(i int) bool { return s.events[i].Position >= position })
		if (i == len(s.events) && position != s.next) || i < len(s.events) && s.events[i].Position != position {
			return 0, false, false, invalid("Trying to read from an invalid position.")
		}
		return position, false, false, nil
	}
	return 0, false, false, invalid("position")
}

func (s *Server) readAll(o *streams.ReadReq_Options_AllOptions, backwards bool, count uint64, f *filter, call readCall) error {
	s.Store.mu.Lock()
	position, start, end, err := s.allFrom(o)
	events := append([]Event{}, s.events...)
	s.Store.mu.Unlock()
	if err != nil {
		return err
	}
	if start && backwards || end && !backwards {
		return nil
	}
	if backwards {
		slices.Reverse(events)
	}
	for i := range events {
		p := events[i].Position
		if !start && !end && (!backwards && p < position || backwards && p >= position) {
			continue
		}
		if f != nil && !f.match(&events[i]) {
			continue
		}
		if count == 0 {
			break
		}
		count--
		if err := call.Send(readEvent(&events[i])); err != nil {
			return err
		}
	}
	return nil
}

func confirm(call readCall) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}}})
}

func caughtUp(call readCall) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func checkpoint(call readCall, position uint64) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position}}})
}

// subscribeAll sends what is after a position: with a filter, checkpoints every so many events and when
// it goes live; then that it has caught up, once; then what is added.
func (s *Server) subscribeAll(o *streams.ReadReq_Options_AllOptions, f *filter, call readCall) error {
	s.Store.mu.Lock()
	position, start, end, err := s.allFrom(o)
	next := 0 // index of the first event to send
	switch {
	case end:
		next = len(s.events)
	case !start:
		next = sort.Search(len(s.events), func(i int) bool { return s.events[i].Position > position })
	}
	live := next == len(s.events)
	s.Store.mu.Unlock()
	if err != nil {
		return err
	}
	if err := confirm(call); err != nil {
		return err
	}
	if err := s.released(call.Context()); err != nil {
		return err
	}
	if live {
		if err := caughtUp(call); err != nil {
			return err
		}
	}
	var considered uint32
	var seen, sent uint64 // last event considered, last checkpoint
	point := func() error {
		if f == nil || seen == sent {
			return nil
		}
		sent = seen
		return checkpoint(call, seen)
	}
	for {
		s.Store.mu.Lock()
		batch := slices.Clone(s.events[min(next, len(s.events)):])
		changed := s.Store.changed
		s.Store.mu.Unlock()
		for i := range batch {
			e := &batch[i]
			next++
			seen = e.Position
			considered++
			if f == nil || f.match(e) {
				if err := call.Send(readEvent(e)); err != nil {
					return err
				}
			}
			if f != nil && considered%f.every == 0 {
				if err := point(); err != nil {
					return err
				}
			}
		}
		if !live {
			live = true
			if err := point(); err != nil {
				return err
			}
			if err := caughtUp(call); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-call.Context().Done():
			return call.Context().Err()
		}
	}
}

func (s *Server) subscribeStream(o *streams.ReadReq_Options_StreamOptions, call readCall) error {
	name := string(o.GetStreamIdentifier().GetStreamName())
	events, err := s.streamEvents(name, call)
	if err != nil {
		return err
	}
	next := uint64(0)
	switch r := o.RevisionOption.(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		next = r.Revision + 1
	case *streams.ReadReq_Options_StreamOptions_Start:
	case *streams.ReadReq_Options_StreamOptions_End:
		if n := len(events); n > 0 {
			next = events[n-1].Number + 1
		}
	default:
		return invalid("revision")
	}
	if err := confirm(call); err != nil {
		return err
	}
	for live := false; ; {
		s.Store.mu.Lock()
		changed := s.Store.changed
		s.Store.mu.Unlock()
		events, err := s.streamEvents(name, call)
		if err != nil {
			return err
		}
		for i := range events {
			if events[i].Number < next {
				continue
			}
			next = events[i].Number + 1
			if err := call.Send(readEvent(&events[i])); err != nil {
				return err
			}
		}
		if !live {
			live = true
			if err := caughtUp(call); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-call.Context().Done():
			return call.Context().Err()
		}
	}
}

func readEvent(e *Event) *streams.ReadResp {
	contentType := "application/octet-stream"
	if e.JSON {
		contentType = "application/json"
	}
	most, least := esdb.UUIDAsInt64(e.ID)
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least}}},
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
			StreamRevision:   e.Number,
			PreparePosition:  e.Position,
			CommitPosition:   e.Position,
			Metadata: map[string]string{
				"type":         e.Type,
				"content-type": contentType,
				"created":      strconv.FormatInt(e.Created.UnixNano()/100, 10), // ticks of 100 ns since 1970
			},
			CustomMetadata: e.Metadata,
			Data:           e.Data,
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.Position},
	}}}
}
