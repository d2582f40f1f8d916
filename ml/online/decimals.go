package online

import "math/bits"

// decimals maps the numbers of decimal item ids to indices: open addressing, at most half full. A
// restore looks up every event and every pair, which Go's map makes a third of its time.
type decimals struct {
	slots []decimalSlot // length a power of two
	used  int
}

type decimalSlot struct {
	num  uint64
	item uint32 // index + 1; 0 is an empty slot
}

func (d *decimals) find(num uint64) *decimalSlot {
	mask := len(d.slots) - 1
	at := int(num * 0x9E3779B97F4A7C15 >> (64 - bits.Len(uint(mask))))
	for {
		s := &d.slots[at&mask]
		if s.item == 0 || s.num == num {
			return s
		}
		at++
	}
}

func (d *decimals) get(num uint64) (item uint32, ok bool) {
	if d.used == 0 {
		return 0, false
	}
	s := d.find(num)
	return s.item - 1, s.item != 0
}

// put adds a number that is not there yet.
func (d *decimals) put(num uint64, item uint32) {
	if 2*d.used >= len(d.slots) {
		old := d.slots
		d.slots = make([]decimalSlot, max(16, 2*len(old)))
		for _, s := range old {
			if s.item != 0 {
				*d.find(s.num) = s
			}
		}
	}
	*d.find(num) = decimalSlot{num, item + 1}
	d.used++
}
