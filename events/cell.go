package events

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// noKeys are how tables spell a missing cell: R, SQL and pandas.
var noKeys = map[string]bool{"": true, "NA": true, "N/A": true, "n/a": true, "NaN": true, "nan": true, "-NaN": true, "-nan": true,
	"NULL": true, "null": true, "None": true, "<NA>": true, "NaT": true}

// KeyOf reads an id from a cell of a table: without the blanks around it, and 5.0, which is what pandas makes
// of 5 in a column with gaps, as "5". ok is false for a missing cell: nothing, NaN, null and their like. A
// number with a fraction is an error: it names nobody.
func KeyOf(cell string) (id string, ok bool, err error) {
	id = strings.TrimSpace(cell)
	if noKeys[id] {
		return "", false, nil
	}
	whole, fraction, point := strings.Cut(id, ".")
	if !point || whole == "" || fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return id, true, nil
	}
	if strings.Trim(fraction, "0") != "" {
		return "", false, fmt.Errorf("is %s; want a whole number, or a text", id)
	}
	return whole, true, nil
}

// MillisOf reads a time from a cell of a table, as spreadsheets, pandas and JSON write it, into Unix
// milliseconds: ISO 8601, UTC where it names no zone, also with a blank for the T, without seconds, or a date
// alone; or Unix seconds or milliseconds.
func MillisOf(cell string) (int64, error) {
	const secondsBelow = 1e11 // as seconds the year 5138, as milliseconds 1973
	text := strings.TrimSpace(cell)
	millis, err := int64(0), error(nil)
	if x, bad := strconv.ParseFloat(text, 64); bad == nil && !math.IsNaN(x) {
		if x < secondsBelow {
			x *= 1000
		}
		millis = int64(math.Round(max(min(x, TimeMillisEnd), TimeMillisMin-1)))
	} else {
		iso := text
		if len(iso) > len("2013-09-01") && iso[len("2013-09-01")] == ' ' {
			iso = strings.Replace(iso, " ", "T", 1)
		}
		switch len(iso) {
		case len("2013-09-01"):
			iso += "T00:00:00"
		case len("2013-09-01T12:00"):
			iso += ":00"
		}
		millis, err = TimeMillis(iso)
	}
	switch {
	case err != nil:
		const shown = 40
		return 0, fmt.Errorf("%q is not a time; write 2013-09-01T12:00:00Z, Unix seconds or milliseconds", text[:min(len(text), shown)])
	case millis < TimeMillisMin || millis >= TimeMillisEnd:
		return 0, fmt.Errorf("%s is outside 1970 to 2100", text)
	}
	return millis, nil
}
