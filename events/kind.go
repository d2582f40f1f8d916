package events

import "slices"

// Kinds of interactions that this program writes itself.
const (
	KindRating = "rating"
	KindLike   = "like"
)

// Kinds are the interaction types that have a name of their own in what is stored and counted. The set is
// open: any other type of the form [a-z][a-z_]{0,31} is taken too. Append only: views store a kind as its
// place in the list.
var Kinds = []string{
	KindRating, "click", "view", "watch", "complete", KindLike, "dislike", "purchase",
	"wishlist", "share", "search", "skip", "impression",
}

// KindCode is a kind's place in [Kinds], from 1 on; 0 for one that is not among them.
func KindCode(kind string) byte { return byte(slices.Index(Kinds, kind) + 1) }

// KindOf is the kind of a code above 0; false for one that no kind has.
func KindOf(code byte) (string, bool) {
	if code == 0 || int(code) > len(Kinds) {
		return "", false
	}
	return Kinds[code-1], true
}

const kindBytesMax = 32

func kindFault(kind string) string {
	ok := kind != "" && len(kind) <= kindBytesMax && kind[0] != '_'
	for k := 0; ok && k < len(kind); k++ {
		ok = kind[k] == '_' || kind[k] >= 'a' && kind[k] <= 'z'
	}
	if !ok {
		return "must be lower-case letters and underscores, 1 to 32, such as rating, click, view or watch"
	}
	return ""
}
