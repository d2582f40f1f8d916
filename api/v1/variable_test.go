package v1_test

import "testing"

// TestVariables: what is set is listed by key, has the revision that If-Match wants, and is gone when it is deleted.
func TestVariables(t *testing.T) {
	w := newFixture(t)
	w.do("PUT", "/api/v1/variables/region", `{"value": "eu", "description": "where"}`).want(200)
	w.do("PUT", "/api/v1/variables/alpha", `{"value": ""}`).want(200)
	if a := w.get("/api/v1/variables").want(200); a.at("items.0.key") != "alpha" || a.at("items.1.value") != "eu" || a.at("items.1.actor") != "api" {
		t.Errorf("%s", a.Body)
	}
	a := w.get("/api/v1/variables/region").want(200)
	etag := a.Header.Get("ETag")
	w.do("PUT", "/api/v1/variables/region", `{"value": "us"}`, "If-Match", etag).want(200)
	w.do("PUT", "/api/v1/variables/region", `{"value": "asia"}`, "If-Match", etag).want(412)
	if a := w.get("/api/v1/variables/region").want(200); a.at("value") != "us" || a.at("description") == "where" {
		t.Errorf("%s", a.Body)
	}
	w.do("PUT", "/api/v1/variables/region", `{"value": 1}`).want(400)
	w.do("DELETE", "/api/v1/variables/region", nil).want(200)
	w.do("DELETE", "/api/v1/variables/region", nil).want(404)
	w.get("/api/v1/variables/region").want(404)
	if a := w.get("/api/v1/audit?type=variable.deleted").want(200); a.at("items.0.summary") != "variable region deleted" {
		t.Errorf("%s", a.Body)
	}
}
