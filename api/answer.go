package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
)

// Answer is a body of any size that is written as it is made. Nothing is sent before answerHeldBytes of it are there:
// an error until then is answered as any other, and a small body whole. Its client must read, as every one's.
type Answer struct {
	ctx   context.Context
	w     http.ResponseWriter
	r     *http.Request
	held  []byte
	begun bool
}

// heldBytes are buffers of answers that have ended: one for each answer would be most of what small ones allocate.
var heldBytes = sync.Pool{New: func() any { return new([answerHeldBytes]byte) }}

// NewAnswer begins one. It ends with ctx, which is the request's or comes of it.
func NewAnswer(ctx context.Context, w http.ResponseWriter, r *http.Request, mediaType string) *Answer {
	w.Header().Set("Content-Type", mediaType)
	return &Answer{ctx: ctx, w: w, r: r}
}

// Write adds to the body. The error is that of the context, or of a client that is gone.
func (a *Answer) Write(b []byte) (int, error) {
	if a.held == nil {
		a.held = heldBytes.Get().(*[answerHeldBytes]byte)[:0]
	}
	n := 0
	for {
		piece := b[n:min(len(b), n+answerHeldBytes-len(a.held))]
		a.held = append(a.held, piece...)
		if n += len(piece); n == len(b) {
			return n, nil
		}
		if err := a.send(); err != nil {
			return n, err
		}
	}
}

func (a *Answer) send() error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	a.begun = true
	_, err := a.w.Write(a.held)
	a.held = a.held[:0]
	return err
}

// Flush sends what there is, so that its client has it now.
func (a *Answer) Flush() error {
	if a.begun && len(a.held) == 0 {
		return a.ctx.Err()
	}
	if err := a.send(); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// End sends what is left. An error of the work is returned, to be answered, while nothing was sent; afterwards it
// ends the request, so that the client cannot take the body for whole. Nothing is written afterwards.
func (a *Answer) End(err error) error {
	defer func() {
		if a.held != nil {
			heldBytes.Put((*[answerHeldBytes]byte)(a.held[:answerHeldBytes]))
			a.held = nil
		}
	}()
	if err == nil {
		if !a.begun {
			a.w.Header().Set("Content-Length", strconv.Itoa(len(a.held)))
		}
		err = a.send()
	}
	switch {
	case err != nil && a.begun:
		Abort(a.r, err)
	case err != nil:
		a.w.Header().Del("Content-Length")
	}
	return err
}
