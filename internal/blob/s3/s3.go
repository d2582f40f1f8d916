// Package s3 keeps blobs in a bucket of an S3 API: Amazon's own, or a server that speaks it
// (https://docs.aws.amazon.com/AmazonS3/latest/API/).
package s3

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
)

const (
	// partBytes is what one request of an upload carries; several go at once, from the file: none is held.
	partBytes = 16 << 20
	partsMax  = 3
	// retriesMax bounds how often a request is made, with pauses that grow to a second.
	retriesMax = 4
	// stalledFor is how long an upload or download may stand still.
	stalledFor = time.Minute
	// answeredIn bounds every other request.
	answeredIn = 30 * time.Second
)

// Bucket is a place in a bucket: PREFIX/ab/abcdef….
type Bucket struct {
	client         *minio.Client
	bucket, prefix string
	address        string
	stalled        time.Duration
}

var _ blob.Remote = (*Bucket)(nil)

// Open reads an address, s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=REGION, and asks for the bucket. Prefix and
// parameters may be left out: the endpoint is then $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL, or Amazon's, and the region
// $AWS_REGION, or what the endpoint says. The credentials are those of $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, of
// AWS's file of credentials, or at Amazon's those of the machine.
//
// Errors: fault.Invalid for an address that is none, a bucket that is not there, or credentials that it does not
// admit; fault.Unavailable where nobody answers: the bucket is returned too, and may be used as soon as somebody does.
func Open(ctx context.Context, address string) (*Bucket, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, invalid("%q is no address of a bucket", address).WithHint("give s3://BUCKET/PREFIX?endpoint=http://HOST:PORT, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	params, err := url.ParseQuery(u.RawQuery)
	for name, values := range params {
		if name != "endpoint" && name != "region" || len(values) != 1 {
			err = errors.Join(err, errors.New("unknown or repeated parameter "+name))
		}
	}
	if err != nil {
		return nil, invalid("%q: %v", address, err).WithHint("its parameters are endpoint and region")
	}
	endpoint, err := url.Parse(cmp.Or(params.Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com"))
	if err != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "" || strings.Trim(endpoint.Path, "/") != "" {
		return nil, invalid("the endpoint %q is no address of a server", params.Get("endpoint")).WithHint("give http://HOST:PORT or https://HOST")
	}
	b := &Bucket{bucket: u.Host, prefix: strings.Trim(u.Path, "/"), address: "s3://" + path.Join(u.Host, u.Path) + " at " + endpoint.Host, stalled: stalledFor}
	transport, err := minio.DefaultTransport(endpoint.Scheme == "https")
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "no transport for %s", b)
	}
	transport.ResponseHeaderTimeout = stalledFor
	b.client, err = minio.New(endpoint.Host, &minio.Options{
		Creds: credentialsOf(transport, endpoint), Secure: endpoint.Scheme == "https", Region: cmp.Or(params.Get("region"), os.Getenv("AWS_REGION")),
		Transport: transport, MaxRetries: retriesMax,
	})
	if err != nil {
		return nil, invalid("%s: %v", b, err)
	}
	err = b.ask(ctx)
	if fault.Is(err, fault.Invalid) {
		return nil, err
	}
	return b, err
}

func invalid(format string, args ...any) *fault.Error {
	return fault.Field("blobs", format, args...)
}

func credentialsOf(transport http.RoundTripper, endpoint *url.URL) *credentials.Credentials {
	from := []credentials.Provider{&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{}}
	if strings.HasSuffix(endpoint.Hostname(), ".amazonaws.com") {
		from = append(from, &credentials.IAM{Client: &http.Client{Transport: transport, Timeout: answeredIn}})
	}
	return credentials.NewChainCredentials(from)
}

// ask says whether the bucket can be used.
func (b *Bucket) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answeredIn)
	defer cancel()
	there, err := b.client.BucketExists(ctx, b.bucket)
	switch answer := minio.ToErrorResponse(err); {
	case err == nil && !there:
		return invalid("there is no bucket %s", b).WithHint("make it first, or give another")
	case answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusBadRequest:
		return invalid("%s does not admit us: %v", b, err).WithHint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to credentials that may read and write it, and the region if it has one")
	}
	return b.fault(err)
}

// String is the address, without the endpoint's parameters.
func (b *Bucket) String() string { return b.address }

func (b *Bucket) key(hash string) string { return path.Join(b.prefix, hash[:2], hash) }

func (b *Bucket) fault(err error) error {
	if e := (*fault.Error)(nil); errors.As(err, &e) {
		return err
	}
	err = fault.Wrap(fault.Unavailable, err, "the blobs at %s cannot be had for now", b)
	if e, ok := err.(*fault.Error); ok {
		e.Hint = "nothing is taken that it does not have: try again when it answers"
	}
	return err
}

// Put is [blob.Remote]'s.
func (b *Bucket) Put(ctx context.Context, hash string, content *io.SectionReader, size int64) error {
	there, err := b.stat(ctx, hash)
	if err != nil || there == size {
		return err
	}
	ctx, watch := b.watch(ctx)
	defer watch.Stop()
	_, err = b.client.PutObject(ctx, b.bucket, b.key(hash), &moving{content, watch}, size, minio.PutObjectOptions{
		PartSize: partBytes, NumThreads: partsMax, ContentType: "application/octet-stream"})
	return b.fault(watch.cause(ctx, err))
}

// stat is the size of a blob that is there, -1 of none.
func (b *Bucket) stat(ctx context.Context, hash string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answeredIn)
	defer cancel()
	info, err := b.client.StatObject(ctx, b.bucket, b.key(hash), minio.StatObjectOptions{})
	switch {
	case minio.ToErrorResponse(err).StatusCode == http.StatusNotFound:
		return -1, nil
	case err != nil:
		return -1, b.fault(err)
	}
	return info.Size, nil
}

// Get is [blob.Remote]'s.
func (b *Bucket) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	ctx, watch := b.watch(ctx)
	body, _, _, err := minio.Core{Client: b.client}.GetObject(ctx, b.bucket, b.key(hash), minio.GetObjectOptions{})
	if err != nil {
		err = watch.cause(ctx, err)
		watch.Stop()
		if minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
			return nil, fault.New(fault.NotFound, "no blob %s at %s", hash, b)
		}
		return nil, b.fault(err)
	}
	return &download{body, b, ctx, watch}, nil
}

// All is [blob.Remote]'s.
func (b *Bucket) All(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, watch := b.watch(ctx)
		defer watch.Stop()
		under := b.prefix
		if under != "" {
			under += "/"
		}
		for o := range b.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: under, Recursive: true}) {
			watch.moved()
			if o.Err != nil {
				yield("", b.fault(watch.cause(ctx, o.Err)))
				return
			}
			if hash := path.Base(o.Key); blob.Valid(hash) && b.key(hash) == o.Key && !yield(hash, nil) {
				return
			}
		}
	}
}

// Remove is [blob.Remote]'s.
func (b *Bucket) Remove(ctx context.Context, hash string) error {
	ctx, cancel := context.WithTimeout(ctx, answeredIn)
	defer cancel()
	err := b.client.RemoveObject(ctx, b.bucket, b.key(hash), minio.RemoveObjectOptions{})
	if err == nil || minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		return nil
	}
	return b.fault(err)
}

// watch ends the context of a transfer that stands still.
type watch struct {
	*time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func (b *Bucket) watch(ctx context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: b.stalled, cancel: cancel}
	w.Timer = time.AfterFunc(w.limit, func() {
		cancel(fault.New(fault.Unavailable, "%s has stood still for %v", b, w.limit))
	})
	return ctx, w
}

func (w *watch) moved() { w.Reset(w.limit) }

// Stop ends the watch and what it watches.
func (w *watch) Stop() {
	w.Timer.Stop()
	w.cancel(nil)
}

// cause is why a transfer failed.
func (w *watch) cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// moving is content of which reading tells the watch.
type moving struct {
	*io.SectionReader
	watch *watch
}

func (m *moving) Read(p []byte) (int, error) {
	m.watch.moved()
	return m.SectionReader.Read(p)
}

func (m *moving) ReadAt(p []byte, off int64) (int, error) {
	m.watch.moved()
	return m.SectionReader.ReadAt(p, off)
}

// download is a body that is watched.
type download struct {
	io.ReadCloser
	of    *Bucket
	ctx   context.Context
	watch *watch
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.watch.moved()
	if err != nil && err != io.EOF {
		err = d.of.fault(d.watch.cause(d.ctx, err))
	}
	return n, err
}

func (d *download) Close() error {
	err := d.ReadCloser.Close()
	d.watch.Stop()
	return err
}
