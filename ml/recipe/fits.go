package recipe

import "sync"

// Fits is where a recipe keeps what it has fitted on part of the samples, for another that fits the same: an evaluation
// judges the fit that training has chosen its blend by. What is kept must be such that it cannot be told from a fit
// made again. It holds the latest ones, and may be used from several goroutines.
type Fits struct {
	mu   sync.Mutex
	keys []string
	fits map[string][]byte
}

// fitsMax is how many fits are kept: an evaluation makes one before it wants that of the training.
const fitsMax = 2

// Get gives what was kept under a key, nil for nothing. f may be nil.
func (f *Fits) Get(key string) []byte {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fits[key]
}

// Keep keeps a fit in place of the oldest. f may be nil.
func (f *Fits) Keep(key string, fit []byte) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fits == nil {
		f.fits = map[string][]byte{}
	}
	if _, ok := f.fits[key]; !ok {
		if len(f.keys) == fitsMax {
			delete(f.fits, f.keys[0])
			f.keys = f.keys[1:]
		}
		f.keys = append(f.keys, key)
	}
	f.fits[key] = fit
}

// Forget drops what is kept. f may be nil.
func (f *Fits) Forget() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys, f.fits = nil, nil
}
