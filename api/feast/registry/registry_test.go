package registry_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/feast/registry"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// raw gives gRPC's own client messages that are bytes.
type raw struct{}

func (raw) Name() string                    { return "proto" }
func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = slices.Clone(b); return nil }

// fixture is the registry behind gRPC's own client, over a log in memory with the built-in definitions.
type fixture struct {
	*apitest.Bench
	conn *grpc.ClientConn
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	b := apitest.New(t, func() time.Time { return time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC) })
	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: word, type: string}]}]\nfeature_views:", 1)
	defs, err := features.Parse([]byte(text))
	b.Must(err)
	b.Do(&commands.DefineFeatures{Definitions: text, Hash: defs.Hash()})
	server := &http.Server{Handler: b.Core.Serve(registry.New(b.Core, registry.Config{Features: featurestore.New(b.Views, b.Log)})), Protocols: &http.Protocols{}}
	server.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	b.Must(err)
	go server.Serve(l) //nolint:errcheck // until it is closed
	t.Cleanup(func() { server.Close() })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	b.Must(err)
	t.Cleanup(func() { conn.Close() })
	return &fixture{b, conn}
}

func (w *fixture) call(method string, in msg, opts ...grpc.CallOption) (msg, error) {
	ctx, cancel := context.WithTimeout(w.T.Context(), 5*time.Minute)
	defer cancel()
	request, answer := []byte(in), []byte(nil)
	err := w.conn.Invoke(ctx, registry.Service+method, &request, &answer, opts...)
	return answer, err
}

// done is a call that is answered.
func (w *fixture) done(method string, in msg) msg {
	w.T.Helper()
	out, err := w.call(method, in)
	if err != nil {
		w.T.Fatalf("%s: %v", method, err)
	}
	return out
}

// refused is a call that is not, with the class of Feast's error and what it says.
func (w *fixture) refused(method string, in msg, code codes.Code, class, says string) {
	w.T.Helper()
	_, err := w.call(method, in)
	var d struct{ Module, Class, Message string }
	s := status.Convert(err)
	if json.Unmarshal([]byte(s.Message()), &d) != nil || s.Code() != code || d.Module != "feast.errors" || d.Class != class || !strings.Contains(d.Message, says) {
		w.T.Errorf("%s: %v; want %s %s %q", method, err, code, class, says)
	}
}

// msg is a message under construction: number, then a text, a message or a number.
type msg []byte

func m(parts ...any) (b msg) {
	for i := 0; i < len(parts); i += 2 {
		n := protowire.Number(parts[i].(int))
		switch v := parts[i+1].(type) {
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
		case msg:
			b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
		}
	}
	return b
}

// texts are the fields at a path of numbers, as texts.
func (b msg) texts(path ...protowire.Number) (all []string) {
	for rest := []byte(b); len(rest) > 0; {
		n, typ, size := protowire.ConsumeTag(rest)
		whole := protowire.ConsumeFieldValue(n, typ, rest[size:])
		if n == path[0] && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(rest[size:])
			if len(path) == 1 {
				all = append(all, string(v))
			} else {
				all = append(all, msg(v).texts(path[1:]...)...)
			}
		}
		rest = rest[size+whole:]
	}
	return all
}

const project = "films"

func view(name string, more ...any) msg {
	spec := m(append([]any{1, name, 3, "movie", 4, m(1, "score", 2, 5), 4, m(1, "tags", 2, 12), 6, m(1, 3600), 12, m(1, "movie_id", 2, 4),
		7, m(20, "batch", 1, 1, 3, "at", 5, "made", 50, m(3, m(1, 7))), 9, m(20, "scores_push", 1, 9, 50, m(3, m(1, 8)))}, more...)...)
	return m(1, m(1, spec, 2, m()), 4, project)
}

// TestApply: what is applied is an event, given back as it came, and no event again.
func TestApply(t *testing.T) {
	w := newFixture(t)
	apply := func(tags ...any) int64 {
		w.done("ApplyProject", m(1, m(1, m(1, project, 2, "of films"))))
		w.done("ApplyDataSource", m(1, m(20, "scores_push", 1, 9, 50, m(3, m(1, 9))), 2, project))
		w.done("ApplyFeatureView", view("scores", tags...))
		w.done("ApplyEntity", m(1, m(1, m(1, "movie", 2, 4, 4, "movie_id", 3, "a film")), 2, project))
		w.done("ApplyEntity", m(1, m(1, m(1, "__dummy", 4, "__dummy_id")), 2, project))
		w.done("ApplyFeatureService", m(1, m(1, m(1, "page", 3, m(1, "scores", 2, m(1, "score", 2, 5)), 3, m(1, "movie_features", 2, m(1, "title", 2, 2)))), 2, project))
		return w.Head()
	}
	before := w.Head()
	first := apply(5, m(1, "b", 2, "x"), 5, m(1, "a", 2, "y"))
	if n := first - before; n != 6 {
		t.Errorf("%d events; want 6", n)
	}
	if again := apply(5, m(1, "a", 2, "y"), 5, m(1, "b", 2, "x")); again != first {
		t.Errorf("the same again, its tags in another order and its times other ones, is %d events", again-first)
	}
	if got := w.done("ListFeatureViews", m(1, project)).texts(1, 1, 1); !slices.Equal(got, []string{"scores"}) {
		t.Errorf("views %q", got)
	}
	v := w.done("GetFeatureView", m(1, "scores", 2, project))
	if !slices.Equal(v.texts(1, 4, 1), []string{"score", "tags"}) || !slices.Equal(v.texts(1, 5, 1), []string{"a", "b"}) || !slices.Equal(v.texts(1, 9, 20), []string{"scores_push"}) || !slices.Equal(v.texts(1, 2), []string{project}) || len(v.texts(2, 1)) != 1 {
		t.Errorf("the view is %q", v)
	}
	x := w.done("GetAnyFeatureView", m(1, "scores", 2, project)).texts(1, 1)
	if len(x) != 1 || x[0] != string(v) {
		t.Errorf("as any view it is %q", x)
	}
	for tag, want := range map[string]int{"y": 1, "x": 0} {
		if got := w.done("ListFeatureViews", m(1, project, 3, m(1, "a", 2, tag))).texts(1); len(got) != want {
			t.Errorf("with the tag a=%s: %d views", tag, len(got))
		}
	}
	for method, want := range map[string][]string{"ListEntities": {"__dummy", "movie"}, "ListFeatureServices": {"page"}, "ListStreamFeatureViews": nil} {
		if got := w.done(method, m(1, project)).texts(1, 1, 1); !slices.Equal(got, want) {
			t.Errorf("%s: %q", method, got)
		}
	}
	if got := w.done("ListDataSources", m(1, project)).texts(1, 20); !slices.Equal(got, []string{"scores_push"}) {
		t.Errorf("sources %q", got)
	}
	if got := w.done("ListProjects", nil).texts(1, 1, 1); !slices.Equal(got, []string{project, registry.Project}) {
		t.Errorf("projects %q", got)
	}
	if got := w.done("ListFeatures", m(1, project)).texts(1, 3); !slices.Equal(got, []string{"Float64", "Array(String)"}) {
		t.Errorf("features %q", got)
	}
	for _, filter := range []struct {
		number int
		value  string
		want   int
	}{{4, "movie", 1}, {4, "user", 0}, {5, "tags", 1}, {6, "page", 1}, {7, "batch", 1}, {7, "none", 0}} {
		if got := w.done("ListAllFeatureViews", m(1, project, filter.number, filter.value)).texts(1); len(got) != filter.want {
			t.Errorf("all views by %d %s: %d", filter.number, filter.value, len(got))
		}
	}
	if got := w.done("Proto", nil).texts(6, 1, 1); !slices.Contains(got, "scores") || !slices.Contains(got, "movie_features") {
		t.Errorf("the whole registry has the views %q", got)
	}

	w.done("DeleteFeatureService", m(1, "page", 2, project))
	w.done("DeleteFeatureView", m(1, "scores", 2, project))
	w.refused("GetFeatureView", m(1, "scores", 2, project), codes.NotFound, "FeatureViewNotFoundException", "Feature view scores does not exist in project films")
	w.refused("DeleteFeatureView", m(1, "scores", 2, project), codes.NotFound, "FeatureViewNotFoundException", "scores")
	w.done("ApplyEntity", m(1, m(1, m(1, "seat", 4, "seat_id")), 2, "theatre"))
	if got := w.done("ListProjects", nil).texts(1, 1, 1); !slices.Equal(got, []string{project, registry.Project, "theatre"}) {
		t.Errorf("a project that nobody applied is among %q", got)
	}
	w.done("DeleteProject", m(1, "theatre"))
	w.done("DeleteProject", m(1, project))
	if got := w.done("ListEntities", m(1, project)).texts(1); len(got) != 0 {
		t.Errorf("after its project is deleted: entities %q", got)
	}
}

// TestOwn: what the program's own definitions have is listed in its own project, not to be deleted, and no event when a
// client sends back what it read.
func TestOwn(t *testing.T) {
	w := newFixture(t)
	if got := w.done("ListFeatureViews", m(1, registry.Project)).texts(1, 1, 1); !slices.Equal(got, []string{"critics", "movie_features", "user_features"}) {
		t.Errorf("views %q", got)
	}
	if got := w.done("ListFeatureViews", m(1, registry.Project, 4, m(1, 2, 2, 2))).texts(1, 1, 1); !slices.Equal(got, []string{"user_features"}) {
		t.Errorf("the second page: %q", got)
	}
	for _, page := range []msg{m(1, 1<<62+1, 2, 4), m(1, 1<<62, 2, 1<<62), m(1, 1, 2, 1<<63-1), m(1, 1<<63-1, 2, 1), m(1, -1, 2, -1), m(1, 0, 2, 1<<63-1)} {
		// beyond the last there is nothing; a page that is none is all
		if got := w.done("ListFeatureViews", m(1, registry.Project, 4, page)).texts(1, 1, 1); len(got) != 0 && len(got) != 3 {
			t.Errorf("page %x: %q", page, got)
		}
	}
	if got := w.done("ListFeatureViews", m(1, registry.Project, 5, m(1, "name", 2, "desc"))).texts(1, 1, 1); !slices.Equal(got, []string{"user_features", "movie_features", "critics"}) {
		t.Errorf("the other way: %q", got)
	}
	if got := w.done("GetFeatureView", m(1, "critics", 2, registry.Project)).texts(1, 9, 20); !slices.Equal(got, []string{"critics_push"}) {
		t.Errorf("the view of the definitions file is pushed to %q", got)
	}
	if got := w.done("GetFeatureService", m(1, "movie_card", 2, registry.Project)).texts(1, 3, 2, 1); !slices.Equal(got, []string{"title", "year", "genre", "rating", "rating_count", "popularity"}) {
		t.Errorf("the service has %q", got)
	}
	before := w.Head()
	for _, name := range w.done("ListFeatureViews", m(1, registry.Project)).texts(1) {
		w.done("ApplyFeatureView", m(1, msg(name), 4, registry.Project))
	}
	for _, e := range w.done("ListEntities", m(1, registry.Project)).texts(1) {
		w.done("ApplyEntity", m(1, msg(e), 2, registry.Project))
	}
	for _, s := range w.done("ListFeatureServices", m(1, registry.Project)).texts(1) {
		w.done("ApplyFeatureService", m(1, msg(s), 2, registry.Project))
	}
	for _, s := range w.done("ListDataSources", m(1, registry.Project)).texts(1) {
		w.done("ApplyDataSource", m(1, msg(s), 2, registry.Project))
	}
	if after := w.Head(); after != before {
		t.Errorf("what the program has itself is %d events when it is applied", after-before)
	}
	for method, name := range map[string]string{"DeleteFeatureView": "movie_features", "DeleteEntity": "movie", "DeleteFeatureService": "ranking", "DeleteDataSource": "movie_features"} {
		w.refused(method, m(1, name, 2, registry.Project), codes.FailedPrecondition, "FeastError", "computed.py")
	}
	// In the words of a client: a part of a view that is computed, and what is none.
	part := func(name string, typ int, key string) msg {
		return m(1, m(1, m(1, "movie_features", 3, "movie", 4, m(1, name, 2, typ), 12, m(1, key, 2, 4))), 4, registry.Project)
	}
	w.refused("ApplyFeatureView", part("tone", 5, "movie_id"), codes.FailedPrecondition, "ConflictingFeatureViewNames", "has no feature tone")
	w.refused("ApplyFeatureView", part("title", 5, "movie_id"), codes.FailedPrecondition, "ConflictingFeatureViewNames", "is computed here as string, not float64")
	w.refused("ApplyFeatureView", part("rating", 5, "film"), codes.FailedPrecondition, "ConflictingFeatureViewNames", "by the join key movie_id")
	w.done("ApplyFeatureView", part("rating", 6, "movie_id"))
	if got := w.done("GetFeatureView", m(1, "movie_features", 2, registry.Project)).texts(1, 4, 1); !slices.Equal(got, []string{"rating"}) {
		t.Errorf("what a client calls movie_features is %q", got)
	}
	w.done("DeleteFeatureView", m(1, "movie_features", 2, registry.Project))
	if got := w.done("GetFeatureView", m(1, "movie_features", 2, registry.Project)).texts(1, 4, 1); len(got) < 10 {
		t.Errorf("after it is deleted: %q", got)
	}
}

// TestRefusals: what cannot be kept is refused as one of Feast's errors that names what and why.
func TestRefusals(t *testing.T) {
	w := newFixture(t)
	w.done("ApplyFeatureView", view("scores"))
	before := w.Head()
	w.refused("ApplyFeatureView", m(1, m(1, m(1, "x", 4, m(1, "f", 2, 20), 12, m(1, "k", 2, 4))), 4, project), codes.InvalidArgument, "FeastError", "feature f of feature view x is of Feast's value type 20")
	w.refused("ApplyFeatureView", view("x", 15, m(1, m(2, "code"))), codes.FailedPrecondition, "FeastError", "no code from outside runs here")
	w.refused("ApplyFeatureView", m(2, m(1, m(1, "odfv")), 4, project), codes.Unimplemented, "FeastError", "feature view odfv is an on demand view")
	w.refused("ApplyFeatureView", m(1, m(1, m(1, "a/b", 4, m(1, "f", 2, 4), 12, m(1, "k", 2, 4))), 4, project), codes.InvalidArgument, "FeastError", "feature_view: must not hold a slash")
	w.refused("ApplyFeatureView", m(1, m(1, m(1, "x", 4, m(1, "f", 2, 4))), 4, project), codes.InvalidArgument, "FeastError", "join_keys: has 0 entries")
	other := m(1, m(1, m(1, "scores", 3, "movie", 4, m(1, "f", 2, 4), 12, m(1, "k", 2, 4))), 4, "others")
	w.refused("ApplyFeatureView", other, codes.FailedPrecondition, "FeastError", "feature_view: scores is declared in the project films")
	w.refused("ApplyFeatureService", m(1, m(1, m(1, "s", 3, m(1, "nope", 2, m(1, "f", 2, 4)))), 2, project), codes.NotFound, "FeatureViewNotFoundException", "nope")
	w.refused("ApplyFeatureService", m(1, m(1, m(1, "s", 3, m(1, "scores", 2, m(1, "f", 2, 4)))), 2, project), codes.NotFound, "FeastObjectNotFoundException", "Feature f not found")
	w.refused("ApplyFeatureService", m(1, m(1, m(1, "s", 3, m(1, "scores", 3, "other", 2, m(1, "score", 2, 5)))), 2, project), codes.FailedPrecondition, "FeastError", "under another name")
	w.refused("ApplyEntity", m(1, m(1, m(1, "movie", 4, "id")), 2, registry.Project), codes.FailedPrecondition, "FeastError", "has the join key movie_id")
	w.refused("ApplyPermission", nil, codes.Unimplemented, "FeastError", "keeps no permissions")
	w.refused("UpdateInfra", m(1, m(1, m(1, "x"))), codes.FailedPrecondition, "FeastError", "online_store: {type: remote}")
	w.refused("GetPermission", m(1, "p", 2, project), codes.NotFound, "FeastObjectNotFoundException", "Permission p does not exist in project films")
	w.refused("GetProject", m(1, "none"), codes.NotFound, "FeastObjectNotFoundException", "Project none does not exist")
	w.refused("DoWhatever", nil, codes.Unimplemented, "FeastError", "the registry has no DoWhatever")
	w.refused("ListEntities", m(1, project, 5, m(1, "spec.owner")), codes.InvalidArgument, "FeastError", "sort_by")
	w.refused("ApplyEntity", msg("\xff\xff"), codes.InvalidArgument, "FeastError", "no protobuf")
	w.refused("ApplyEntity", m(1, m(1, m(1, "movie", 4, "id", 3, strings.Repeat("x", 1<<20))), 2, project), codes.ResourceExhausted, "FeastError", "1048576 bytes")
	if _, err := w.call("ListEntities", m(1, project), grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.Unimplemented {
		t.Errorf("a compressed message: %v", err)
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
	// A long message stays within what clients take of a trailer.
	w.refused("ApplyEntity", m(1, m(1, m(1, "movie", 4, strings.Repeat("é", 90_000))), 2, project), codes.InvalidArgument, "FeastError", "join_key: has 180000 bytes")
	w.refused("GetEntity", m(1, strings.Repeat("\u202e", 90_000), 2, project), codes.NotFound, "EntityNotFoundException", "does not exist in project films")
}
