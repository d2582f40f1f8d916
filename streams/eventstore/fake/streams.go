package fake

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type streamsService struct {
	streams.UnimplementedStreamsServer
	s *Server
}

// exception is an error with the trailers by which clients know it.
func exception(set func(metadata.MD), code codes.Code, kind, message string, more ...string) error {
	set(metadata.Pairs(append([]string{"exception", kind}, more...)...))
	return status.Error(code, message)
}

func streamDeleted(set func(metadata.MD), name string) error {
	return exception(set, codes.FailedPrecondition, "stream-deleted", "Event stream '"+name+"' is deleted.", "stream-name", name)
}

// leads says whether the node may answer: a follower refuses what requires the leader.
func (s *Server) leads(ctx context.Context, set func(metadata.MD)) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("requires-leader"); s.leader == nil || len(v) == 0 || v[0] != "true" {
		return nil
	}
	host, port := s.leader.hostPort()
	return exception(set, codes.NotFound, "not-leader", "Leader info available", "leader-endpoint-host", host, "leader-endpoint-port", strconv.Itoa(port))
}

func (v streamsService) Append(call streams.Streams_AppendServer) error {
	s := v.s
	s.count("append")
	req, err := call.Recv()
	if err != nil {
		return err
	}
	options := req.GetOptions()
	if options == nil {
		return status.Error(codes.Unknown, "the first message has no options")
	}
	name := string(options.GetStreamIdentifier().GetStreamName())
	if name == "" {
		return status.Error(codes.InvalidArgument, "no stream")
	}
	var expected int64
	switch e := options.ExpectedStreamRevision.(type) {
	case *streams.AppendReq_Options_Revision:
		if e.Revision > math.MaxInt64 {
			return status.Error(codes.InvalidArgument, "revision out of range")
		}
		expected = int64(e.Revision)
	case *streams.AppendReq_Options_NoStream:
		expected = noStream
	case *streams.AppendReq_Options_Any:
		expected = anyRevision
	case *streams.AppendReq_Options_StreamExists:
		expected = streamExists
	default:
		return status.Error(codes.InvalidArgument, "no expected revision")
	}
	var events []Event
	size := 0
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p := req.GetProposedMessage()
		if p == nil {
			return status.Error(codes.Unknown, "a message without an event")
		}
		id, err := parseID(p.Id)
		if err != nil {
			return status.Error(codes.InvalidArgument, "event id")
		}
		kind, contentType := p.Metadata["type"], p.Metadata["content-type"]
		if kind == "" || contentType == "" {
			return exception(call.SetTrailer, codes.InvalidArgument, "missing-required-metadata-property", "Required Metadata Property is missing")
		}
		if size += len(p.Data) + len(p.CustomMetadata) + 2*len(kind); size > MaxAppendSize {
			return exception(call.SetTrailer, codes.InvalidArgument, "maximum-append-size-exceeded", "Maximum Append Size of 1048576 Exceeded.", "maximum-append-size", "1048576")
		}
		events = append(events, Event{ID: id, Type: kind, JSON: contentType == "application/json", Data: p.Data, Metadata: p.CustomMetadata})
	}
	if len(events) == 0 {
		return status.Error(codes.InvalidArgument, "no events")
	}
	if err := s.leads(call.Context(), call.SetTrailer); err != nil {
		return err
	}
	fault := s.fault(name, len(events))
	switch fault {
	case DropBefore:
		s.Drop()
		<-call.Context().Done()
		return call.Context().Err()
	case Busy:
		return status.Error(codes.Unavailable, "Server Is Too Busy")
	}
	s.Store.mu.Lock()
	out := s.Store.append(name, expected, events)
	switch fault {
	case DropAfter:
		s.Drop()
	case GoneAfter:
		s.Stop()
	}
	s.Store.wake()
	s.Store.mu.Unlock()
	if fault != None {
		<-call.Context().Done()
		return call.Context().Err()
	}
	resp := &streams.AppendResp{}
	switch out.decision {
	case deleted:
		return streamDeleted(call.SetTrailer, name)
	case wrongExpected:
		resp.Result = &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrongVersion(expected, out.number)}
	default:
		resp.Result = &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
			CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(out.number)},
			PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: out.position, PreparePosition: out.position}},
		}}
	}
	return call.SendAndClose(resp)
}

func wrongVersion(expected, current int64) *streams.AppendResp_WrongExpectedVersion {
	w := &streams.AppendResp_WrongExpectedVersion{}
	switch expected {
	case anyRevision:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
	case streamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	case noStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expected)}
	}
	if current < 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
	}
	return w
}

func parseID(id *shared.UUID) (uuid.UUID, error) {
	if v := id.GetStructured(); v != nil {
		return esdb.ParseUUIDFromInt64(v.MostSignificantBits, v.LeastSignificantBits)
	}
	return uuid.Parse(id.GetString_())
}

// Delete deletes softly. The expected revision must be "any": the rest is not simulated.
func (v streamsService) Delete(_ context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	if req.GetOptions().GetAny() == nil {
		return nil, status.Error(codes.Unimplemented, "only any revision")
	}
	v.s.Store.Delete(string(req.Options.StreamIdentifier.GetStreamName()), false)
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{}}}, nil
}

// Tombstone deletes for good. The expected revision must be "any": the rest is not simulated.
func (v streamsService) Tombstone(_ context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	if req.GetOptions().GetAny() == nil {
		return nil, status.Error(codes.Unimplemented, "only any revision")
	}
	v.s.Store.Delete(string(req.Options.StreamIdentifier.GetStreamName()), true)
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{}}}, nil
}
