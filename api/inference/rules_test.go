package inference_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// Rules hold for each list of a request, in both its forms, and are recorded with it.
func TestRules(t *testing.T) {
	w := newFixture(t)
	w.films()
	for _, id := range []string{"26", "27"} {
		w.Do(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: id, Title: "Film " + id, Year: 1950, Genres: []string{"Western", "Drama"}, Language: "it"}})
	}
	w.Do(&commands.HideMovie{MovieID: "28", Reason: "no licence"})
	w.train("ease", "ease", nil)
	const by = "?model=ease&version=1"
	whole := idsOf(w.want(200, "POST", "/recommend"+by, `{"user_id": 1, "k": 30, "record": false}`))
	if len(whole) != 17 || slices.Contains(whole, "28") {
		t.Fatal(whole)
	}
	lists := w.want(200, "POST", "/recommend"+by, fmt.Sprintf(`{"user_ids": [1, "nobody"], "k": 3, "exclude": [%q], "year_from": 1990, "offset": 1}`, whole[0]))["lists"].([]any)
	one := lists[0].(map[string]any)
	if got := idsOf(one); len(got) != 3 || slices.Contains(got, whole[0]) || len(idsOf(lists[1].(map[string]any))) != 3 {
		t.Errorf("%v of %v", got, whole)
	}
	if rules := one["rules"].(map[string]any); rules["offset"] != 1. || rules["year_from"] != 1990. || one["items"].([]any)[0].(map[string]any)["position"] != 2. {
		t.Errorf("%v", one)
	}
	for _, body := range []string{`"exclude": []`, `"exclude": null`, `"genre": [], "language": []`} { // of an empty basket
		if got := idsOf(w.want(200, "POST", "/recommend"+by, `{"user_id": 1, "k": 30, "record": false, `+body+`}`)); !slices.Equal(got, whole) {
			t.Errorf("%s: %v", body, got)
		}
	}
	w.want(422, "POST", "/recommend"+by, `{"user_id": 1, "exclude": ""}`)
	if _, text, _ := w.ask("POST", "/recommend"+by, `{"user_id": 1, "genre": [1]}`); strings.Count(text, `"type"`) != 1 {
		t.Errorf("of one flaw is said %s", text)
	}
	for _, body := range []string{`"genre": "western"`, `"genre": ["Western", "Noir"]`, `"language": "IT"`, `"year_to": 1960`} {
		got := idsOf(w.want(200, "POST", "/recommend"+by, `{"user_id": 1, "k": 5, "record": false, `+body+`}`))
		if slices.Sort(got); !slices.Equal(got, []string{"26", "27"}) {
			t.Errorf("%s: %v", body, got)
		}
		v := w.want(200, "POST", "/v2/models/ease/infer", `{"inputs":[{"name":"user_id","shape":[1],"datatype":"BYTES","data":["1"]}], "parameters": {"record": false, "k": 5, `+body+`}}`)
		ids := v["outputs"].([]any)[0].(map[string]any)["data"].([]any)
		if texts := []string{fmt.Sprint(ids[0]), fmt.Sprint(ids[1])}; len(ids) != 2 || !slices.Contains(texts, "26") || !slices.Contains(texts, "27") {
			t.Errorf("%s: %v", body, ids)
		}
	}
	for _, c := range [][3]string{
		{`"diversity": 2`, `"loc":["body","diversity"]`, "parameters.diversity"}, {`"genre": 1`, `"loc":["body","genre"]`, "parameters.genre"},
		{`"exclude": [null]`, `"loc":["body","exclude",0,`, ""}, {`"year_from": 1492`, `"loc":["body","year_from"]`, "parameters.year_from"},
		{`"offset": 996, "k": 5`, `"loc":["body","offset"]`, "parameters.offset"}, {`"language": ["italiano"]`, `"loc":["body","language"]`, "parameters.language"},
	} {
		if code, text, _ := w.ask("POST", "/recommend"+by, `{"user_id": 1, `+c[0]+`}`); code != 422 || !strings.Contains(text, c[1]) {
			t.Errorf("%s: %d %s", c[0], code, text)
		}
		if code, text, _ := w.ask("POST", "/v2/models/ease/infer", `{"inputs":[{"name":"user_id","shape":[1],"datatype":"BYTES","data":["1"]}], "parameters": {`+c[0]+`}}`); code != 400 || !strings.Contains(text, c[2]) {
			t.Errorf("%s: %d %s", c[0], code, text)
		}
	}
}
