package events

// AllViews stands for all that read the ledger in a [ViewEventSkipped].
const AllViews = "*"

// ViewEventSkipped is an operator's word that a view shall pass over one record it cannot fold; every
// rebuild of the view passes over it too. Of [AllViews] it is the word that whoever cannot read a commit of the ledger
// shall pass over it. Stream "view/NAME".
type ViewEventSkipped struct {
	View     string `json:"view"`
	Position string `json:"position"` // "topic/partition@offset"
	Reason   string `json:"reason"`
}

func (*ViewEventSkipped) EventType() string { return "view.event_skipped" }
