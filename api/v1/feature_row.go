package v1

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// keyOf reads an id from a cell of a row, in CSV and JSON alike.
func keyOf(e features.Entity, cell string) (string, error) {
	id, ok, err := events.KeyOf(cell)
	if err == nil && ok {
		err = api.CheckID("", id)
	}
	if err != nil || !ok {
		return "", err
	}
	return canonical(e, id), nil
}

// cellOf is a value of a JSON row as a cell of a table has it: null and nothing at all are empty.
func cellOf(raw json.RawMessage) (string, error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case strings.Trim(string(raw), "0123456789.") == "":
		return string(raw), nil
	}
	return "", errors.New("want an id, as a string or a whole number, or null")
}

// entityRows reads what the join needs of the rows. They are of the entities whose ids any of them has.
func (v *historical) entityRows() ([]features.Row, []features.Entity, error) {
	if len(v.Rows) == 0 {
		return nil, nil, fault.Field("rows", "must not be empty")
	}
	var entities []features.Entity
	for _, e := range []features.Entity{features.User, features.Movie} {
		if slices.ContainsFunc(v.Rows, func(row map[string]json.RawMessage) bool { _, ok := row[string(e)+"_id"]; return ok }) {
			entities = append(entities, e)
		}
	}
	if len(entities) == 0 {
		return nil, nil, fault.Field("rows[0]", "has neither user_id nor movie_id")
	}
	rows := make([]features.Row, len(v.Rows))
	q := &api.Query{}
	for i, row := range v.Rows {
		place := fmt.Sprintf("rows[%d].", i)
		for _, e := range entities {
			name := string(e) + "_id"
			cell, err := cellOf(row[name])
			id := ""
			if err == nil {
				id, err = keyOf(e, cell)
			}
			if err != nil {
				q.Fault(place+name, "%v", err)
			} else if e == features.User {
				rows[i].UserID = id
			} else {
				rows[i].MovieID = id
			}
		}
		var err error
		if rows[i].TimeMillis, err = events.MillisOf(strings.Trim(string(row["event_timestamp"]), `"`)); err != nil {
			q.Fault(place+"event_timestamp", "%v", err)
		}
		const shown = 20
		if q.Faults() >= shown {
			break
		}
	}
	return rows, entities, q.Err()
}
