package fold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
)

// ViewReport is what verification found of one view.
type ViewReport struct {
	View   string `json:"view"`
	Cut    string `json:"cut"`
	Pairs  int64  `json:"pairs"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the live view's pairs in key order, lengths included
	Equal  bool   `json:"equal"`
	Diff   string `json:"diff,omitempty"` // the first difference
}

// Verify folds every view again from the log into a scratch folder, up to where the live one stands, and
// compares the two byte for byte. The live views go on meanwhile.
func (r *Runner) Verify(ctx context.Context, scratch string, progress func(done, total int64)) ([]ViewReport, error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, "verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	live, stood, err := r.standing()
	if err != nil {
		return nil, err
	}
	defer live.Close()

	store, err := OpenStore(dir, StoreOptions{CacheBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	definitions := map[string]Definition{}
	for i, f := range r.factories {
		definitions[f().Spec().Name] = stood[i].definition
	}
	again, err := newRunner(r.log, store, r.factories).begin(ctx, definitions)
	if err != nil {
		return nil, err
	}
	for i, s := range again.slots {
		s.until = stood[i].cut
	}
	if err := again.CatchUp(ctx, streams.Cut{}, progress); err != nil {
		return nil, err
	}
	var reports []ViewReport
	for i, s := range again.slots {
		was := stood[i]
		rep, err := compare(ctx, live, was.gen, store.db, s.gen.number)
		if err != nil {
			return nil, err
		}
		rep.View, rep.Cut = s.spec.Name, was.cut.String()
		reports = append(reports, rep)
	}
	return reports, nil
}

// stand is where a stored view stands.
type stand struct {
	gen        uint32
	cut        streams.Cut
	definition Definition
}

// standing saves the views and gives the store as it then is, with where each view stands in it.
func (r *Runner) standing() (*pebble.Snapshot, []stand, error) {
	if err := r.saveAhead(); err != nil {
		return nil, nil, err
	}
	slots, move := r.rest()
	defer move()
	var stood []stand
	for _, s := range slots {
		if err := r.save(s); err != nil {
			return nil, nil, err
		}
		cut, err := r.store.cursor(s.gen.number) // of a halted view, the last one that was saved
		if err != nil {
			return nil, nil, err
		}
		stood = append(stood, stand{s.gen.number, cut, s.definition})
	}
	return r.store.db.NewSnapshot(), stood, nil
}

// Hashes sums every view's pairs as they stand, with the cut each stands at.
func (r *Runner) Hashes(ctx context.Context) ([]ViewReport, error) {
	live, stood, err := r.standing()
	if err != nil {
		return nil, err
	}
	defer live.Close()
	var reports []ViewReport
	for i, f := range r.factories {
		rep, err := compare(ctx, live, stood[i].gen, live, stood[i].gen)
		if err != nil {
			return nil, err
		}
		rep.View, rep.Cut = f().Spec().Name, stood[i].cut.String()
		reports = append(reports, rep)
	}
	return reports, nil
}

// compareAsk is after how many pairs a comparison asks whether it is still wanted.
const compareAsk = 4096

func compare(ctx context.Context, a pebble.Reader, genA uint32, b pebble.Reader, genB uint32) (ViewReport, error) {
	var rep ViewReport
	open := func(r pebble.Reader, gen uint32) (*pebble.Iterator, error) {
		lo := genKey(gen, nil)
		return r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: Key(lo).End()})
	}
	x, err := open(a, genA)
	if err != nil {
		return rep, err
	}
	defer x.Close()
	y, err := open(b, genB)
	if err != nil {
		return rep, err
	}
	defer y.Close()
	sum := sha256.New()
	okX, okY := x.First(), y.First()
	for n := 0; okX || okY; n++ {
		if n%compareAsk == 0 && ctx.Err() != nil {
			return rep, ctx.Err()
		}
		if rep.Diff == "" {
			rep.Diff = difference(x, okX, y, okY)
		}
		if okX {
			v, err := x.ValueAndErr()
			if err != nil {
				return rep, err
			}
			k := x.Key()[5:]
			var n [8]byte
			binary.BigEndian.PutUint32(n[:4], uint32(len(k)))
			binary.BigEndian.PutUint32(n[4:], uint32(len(v)))
			sum.Write(n[:])
			sum.Write(k)
			sum.Write(v)
			rep.Pairs++
			rep.Bytes += int64(len(k) + len(v))
		}
		if rep.Diff != "" && !okX {
			break
		}
		if okX {
			okX = x.Next()
		}
		if okY {
			okY = y.Next()
		}
	}
	if err := x.Error(); err != nil {
		return rep, err
	}
	if err := y.Error(); err != nil {
		return rep, err
	}
	rep.SHA256 = hex.EncodeToString(sum.Sum(nil))
	rep.Equal = rep.Diff == ""
	return rep, nil
}

func difference(x *pebble.Iterator, okX bool, y *pebble.Iterator, okY bool) string {
	switch {
	case !okX:
		return fmt.Sprintf("only the rebuilt view has key %q", y.Key()[5:])
	case !okY:
		return fmt.Sprintf("only the live view has key %q", x.Key()[5:])
	}
	kx, ky := x.Key()[5:], y.Key()[5:]
	if c := bytes.Compare(kx, ky); c < 0 {
		return fmt.Sprintf("only the live view has key %q", kx)
	} else if c > 0 {
		return fmt.Sprintf("only the rebuilt view has key %q", ky)
	}
	vx, errX := x.ValueAndErr()
	vy, errY := y.ValueAndErr()
	if errX != nil || errY != nil {
		return fmt.Sprintf("key %q cannot be read: %v %v", kx, errX, errY)
	}
	if !bytes.Equal(vx, vy) {
		return fmt.Sprintf("key %q differs: live %d bytes, rebuilt %d bytes", kx, len(vx), len(vy))
	}
	return ""
}
