package workflow

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
)

// Trigger has a workflow run when something happens: when so many events of a type for which a condition holds have come
// since the last run that it asked for. It asks for one run at a time.
//
// With hysteresis what counts is not an event but a beginning: the condition holds of a subject (By) of which it did not hold. It has ceased
// to when an event of that subject says so, or none has come for Lapse.
type Trigger struct {
	Name       string
	Event      string     // type
	When       *Condition // on event.NAME; nil: always
	By         *Reference // whose condition it is, with hysteresis; nil: there is one
	Hysteresis bool
	Lapse      time.Duration // 0: never
	Count      int64
	Cooldown   time.Duration // from the last run's request to the next
	Budget     int           // runs at most in any time of Per
	Per        time.Duration
	Conf       map[string]Template // of the run

	fields map[Reference]field
}

// Defaults and bounds of triggers.
const (
	BudgetDefault = 100
	PerDefault    = 24 * time.Hour

	triggersMax = 32
	countMax    = 1_000_000_000
	budgetMax   = 100
	cooldownMax = 366 * 24 * time.Hour
	// subjectsMax bounds the subjects of which a condition is remembered to hold; the one that was heard of longest ago is forgotten first.
	subjectsMax = 10_000
	// triggerTextMax bounds what is kept of a subject or a value of an event, in bytes.
	triggerTextMax = 1000
)

// EnvelopeNames are what references know of an event beside its own fields, which go before.
var EnvelopeNames = []string{"id", "type", "source", "subject", "time", "actor", "correlation", "position"}

// MarshalJSON writes the trigger as it is shown: durations in milliseconds.
func (t Trigger) MarshalJSON() ([]byte, error) {
	shown := struct {
		Name           string            `json:"name"`
		Event          string            `json:"event"`
		When           string            `json:"when,omitempty"`
		By             string            `json:"by,omitempty"`
		Hysteresis     bool              `json:"hysteresis,omitempty"`
		LapseMillis    int64             `json:"lapse_millis,omitempty"`
		Count          int64             `json:"count"`
		CooldownMillis int64             `json:"cooldown_millis,omitempty"`
		Budget         int               `json:"budget"`
		PerMillis      int64             `json:"budget_per_millis"`
		Conf           map[string]string `json:"conf,omitempty"`
	}{Name: t.Name, Event: t.Event, Hysteresis: t.Hysteresis, LapseMillis: t.Lapse.Milliseconds(), Count: t.Count,
		CooldownMillis: t.Cooldown.Milliseconds(), Budget: t.Budget, PerMillis: t.Per.Milliseconds()}
	if t.When != nil {
		shown.When = t.When.String()
	}
	if t.By != nil {
		shown.By = t.By.String()
	}
	for name, value := range t.Conf {
		if shown.Conf == nil {
			shown.Conf = map[string]string{}
		}
		shown.Conf[name] = value.String()
	}
	return json.Marshal(shown)
}

// Trigger is the trigger of a name, or nil.
func (d *Definition) Trigger(name string) *Trigger {
	for i := range d.Triggers {
		if d.Triggers[i].Name == name {
			return &d.Triggers[i]
		}
	}
	return nil
}

// Seen is an event as a trigger sees it.
type Seen struct {
	*events.Event
	Position interface{ String() string } // in the log
	Recorded time.Time                    // when the log took it
}

// Cause is an event that a run is asked for by, with the conf that it gives the run.
type Cause struct {
	EventID  string            `json:"event_id"`
	Type     string            `json:"type"`
	Position string            `json:"position"`
	Subject  string            `json:"subject,omitempty"` // by which hysteresis goes
	Conf     map[string]string `json:"conf,omitempty"`
}

// Watch is what a trigger has made of the events up to some place in the log: a fold of them, so that whoever looks at the
// same events comes to the same. The zero value is before the first.
type Watch struct {
	Pending int64              `json:"pending"`             // events since the last run that count for the next one
	Cause   *Cause             `json:"cause,omitempty"`     // the one that made their number complete
	Begun   []Cause            `json:"begun,omitempty"`     // with hysteresis: they
	Holding map[string]Holding `json:"holding,omitempty"`   // with hysteresis: of which subjects the condition holds
	Last    *Verdict           `json:"last,omitempty"`      // on the last event of the type
	Looked  int64              `json:"looked_at,omitempty"` // events of the type

	last struct {
		ev            Seen
		word, subject string
	}
}

// Holding is since when, and until when last, a condition was said to hold: in Unix milliseconds of the log's time.
type Holding struct {
	Since int64 `json:"since"`
	Heard int64 `json:"heard"`
}

// Verdict says what became of an event.
type Verdict struct {
	Position string `json:"position"`
	Millis   int64  `json:"millis"` // when the log took it
	Word     string `json:"word"`   // see the Verdict constants
	Subject  string `json:"subject,omitempty"`
}

// Words of a [Verdict].
const (
	VerdictCounted = "counted"
	VerdictFalse   = "condition false"
	VerdictHolds   = "condition goes on"
	VerdictCeased  = "condition has ceased"
)

// Take takes in an event of the trigger's type. counts is false of one that the last run is for: it only says which conditions hold.
func (w *Watch) Take(t *Trigger, ev Seen, counts bool) {
	value := func(r Reference) string { return t.value(ev, r) }
	holds := t.When == nil || t.When.Holds(value)
	w.Looked++
	word, subject := VerdictFalse, ""
	switch {
	case t.Hysteresis:
		if t.By != nil {
			subject = bounded(value(*t.By))
		}
		word = w.turn(t, ev, subject, holds, counts)
	case holds:
		word = VerdictCounted
		if counts {
			if w.Pending++; w.Pending == t.Count {
				w.Cause = t.cause(ev, "")
			}
		}
	}
	w.last.ev, w.last.word, w.last.subject = ev, word, subject
}

// Settle has Last be of the last event that was taken in, whose memory is no longer needed then; false if there was none.
func (w *Watch) Settle() bool {
	l := &w.last
	if l.word == "" {
		return false
	}
	w.Last = &Verdict{l.ev.Position.String(), l.ev.Recorded.UnixMilli(), l.word, l.subject}
	l.ev, l.word, l.subject = Seen{}, "", ""
	return true
}

// turn takes in that a condition holds of a subject, or does not.
func (w *Watch) turn(t *Trigger, ev Seen, subject string, holds, counts bool) string {
	now := ev.Recorded.UnixMilli()
	was, held := w.Holding[subject]
	if held && t.Lapse > 0 && now-was.Heard > t.Lapse.Milliseconds() {
		held = false
	}
	switch {
	case !holds && !held:
		delete(w.Holding, subject)
		return VerdictFalse
	case !holds:
		delete(w.Holding, subject)
		w.Begun = slices.DeleteFunc(w.Begun, func(c Cause) bool { return c.Subject == subject })
		w.Pending = int64(len(w.Begun))
		return VerdictCeased
	case held:
		w.Holding[subject] = Holding{was.Since, now}
		return VerdictHolds
	}
	if w.Holding == nil {
		w.Holding = map[string]Holding{}
	}
	if len(w.Holding) >= subjectsMax {
		w.forget()
	}
	w.Holding[subject] = Holding{now, now}
	if counts && len(w.Begun) < subjectsMax && !slices.ContainsFunc(w.Begun, func(c Cause) bool { return c.Subject == subject }) {
		w.Begun = append(w.Begun, *t.cause(ev, subject))
		w.Pending = int64(len(w.Begun))
	}
	return VerdictCounted
}

// forget lets go of the subject that was heard of longest ago.
func (w *Watch) forget() {
	oldest := ""
	for _, subject := range slices.Sorted(maps.Keys(w.Holding)) {
		if oldest == "" || w.Holding[subject].Heard < w.Holding[oldest].Heard {
			oldest = subject
		}
	}
	delete(w.Holding, oldest)
}

// Due is the event that the next run is asked for by; nil while there is none.
func (w *Watch) Due(t *Trigger) *Cause {
	switch {
	case t.Hysteresis && len(w.Begun) > 0:
		return &w.Begun[0]
	case !t.Hysteresis && w.Pending >= t.Count:
		return w.Cause
	}
	return nil
}

// Fired begins anew after a run that is for all events so far.
func (w *Watch) Fired() { w.Pending, w.Cause, w.Begun = 0, nil, nil }

func (t *Trigger) cause(ev Seen, subject string) *Cause {
	c := &Cause{EventID: ev.ID, Type: ev.Type(), Position: ev.Position.String(), Subject: subject}
	for name, value := range t.Conf {
		if c.Conf == nil {
			c.Conf = map[string]string{}
		}
		c.Conf[name] = bounded(value.Fill(func(r Reference) string { return t.value(ev, r) }))
	}
	return c
}

// Hold is why a run is not asked for, or that it is.
type Hold struct {
	State  string    `json:"state"` // see the Hold constants
	Until  time.Time `json:"-"`     // zero: until something happens
	Reason string    `json:"reason,omitempty"`
}

// States of a [Hold].
const (
	HoldWaiting = "waiting"      // for events
	HoldPaused  = "paused"       // the workflow is
	HoldRunning = "running"      // the last run that it asked for
	HoldCooling = "cooling_down" // until Until
	HoldBudget  = "over_budget"  // until Until
	HoldDue     = "due"
	HoldRefused = "refused" // the request was; it is tried again
)

// Decide says whether a run is to be asked for now. requests are the times of the runs that were asked for before, oldest
// first, as many as the budget; running is the last one while it goes on, else "".
func (t *Trigger) Decide(w *Watch, requests []time.Time, running string, paused bool, now time.Time) Hold {
	if w.Due(t) == nil {
		if t.Hysteresis && len(w.Holding) > 0 {
			return Hold{State: HoldWaiting, Reason: "it has fired, and the condition goes on"}
		}
		if t.Hysteresis {
			return Hold{State: HoldWaiting, Reason: "the condition has not begun to hold"}
		}
		return Hold{State: HoldWaiting, Reason: strconv.FormatInt(w.Pending, 10) + " of " + strconv.FormatInt(t.Count, 10) + " events"}
	}
	if paused {
		return Hold{State: HoldPaused, Reason: "the workflow is paused"}
	}
	if running != "" {
		return Hold{State: HoldRunning, Reason: "run " + running + " goes on"}
	}
	if n := len(requests); n > 0 && t.Cooldown > 0 {
		if until := requests[n-1].Add(t.Cooldown); until.After(now) {
			return Hold{HoldCooling, until, "cooling down until " + until.UTC().Format(time.RFC3339)}
		}
	}
	if n := len(requests); n >= t.Budget {
		if until := requests[n-t.Budget].Add(t.Per); until.After(now) {
			return Hold{HoldBudget, until, strconv.Itoa(t.Budget) + " runs were asked for in " + t.Per.String() + ": over budget until " + until.UTC().Format(time.RFC3339)}
		}
	}
	return Hold{State: HoldDue}
}

func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), triggerTextMax)], "")
}

// field is the way from an event's data to a value: fields by index, then, of a map, a key.
type field struct {
	index [][]int
	key   string
}

// fieldOf finds what a dotted name stands for in a type of data; false where that is nothing, or no text, number or boolean.
func fieldOf(t reflect.Type, name string) (f field, ok bool) {
	for rest := name; ; {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64, reflect.Float32, reflect.Uint64, reflect.Uint32:
			return f, rest == ""
		case reflect.Map:
			f.key = rest
			elem := field{}
			if rest == "" || t.Key().Kind() != reflect.String {
				return f, false
			}
			elem, ok = fieldOf(t.Elem(), "")
			return f, ok && len(elem.index) == 0
		case reflect.Struct:
		default:
			return f, false
		}
		var part string
		part, rest, _ = strings.Cut(rest, ".")
		found := false
		for _, sf := range reflect.VisibleFields(t) {
			tag, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
			if sf.IsExported() && !sf.Anonymous && tag == part && part != "" {
				f.index, t, found = append(f.index, sf.Index), sf.Type, true
				break
			}
		}
		if !found {
			return f, false
		}
	}
}

// of is the value in an event's data; "" where there is none.
func (f field) of(data events.Data) string {
	v := reflect.ValueOf(data)
	for _, index := range f.index {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
		var err error
		if v, err = v.FieldByIndexErr(index); err != nil {
			return ""
		}
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Map {
		if v = v.MapIndex(reflect.ValueOf(f.key).Convert(v.Type().Key())); !v.IsValid() {
			return ""
		}
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return ""
}

// value is what a reference stands for in an event.
func (t *Trigger) value(ev Seen, r Reference) string {
	if f, ok := t.fields[r]; ok {
		return f.of(ev.Data)
	}
	switch r.Name {
	case "id":
		return ev.ID
	case "type":
		return ev.Type()
	case "source":
		return ev.Source
	case "subject":
		return ev.Subject
	case "time":
		return events.FormatTime(ev.Time)
	case "actor":
		return ev.Actor
	case "correlation":
		return ev.Correlation
	case "position":
		return ev.Position.String()
	}
	return ""
}
