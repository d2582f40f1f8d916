package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) webhookRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/webhooks", (*Surface).webhooks, "webhooks")
	s.then(r, "GET /api/v1/webhooks/{webhook}/deliveries", (*Surface).deliveries, "webhooks")
}

// shownWebhook is a webhook and how it fares. Its secret is told nobody.
type shownWebhook struct {
	projections.Webhook
	Secret  bool                       `json:"secret"`  // there is one
	Waiting *projections.Due           `json:"waiting"` // what it is told next; null for nothing
	Last    *projections.EndedDelivery `json:"last"`    // that has ended; null for none
}

func (s *Surface) webhooks(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Webhooks](s.Views)
	p, err := view.Webhooks(page)
	if err != nil {
		return err
	}
	out := fold.Page[shownWebhook]{Items: []shownWebhook{}, Next: p.Next}
	for _, h := range p.Items {
		v := shownWebhook{Webhook: h, Secret: h.Secret != ""}
		due, err := view.Due(h.WebhookID, fold.PageQuery{Limit: 1})
		if err != nil {
			return err
		}
		ended, err := view.Ended(h.WebhookID, fold.PageQuery{Limit: 1})
		if err != nil {
			return err
		}
		if len(due.Items) > 0 {
			v.Waiting = &due.Items[0]
		}
		if len(ended.Items) > 0 {
			v.Last = &ended.Items[0]
		}
		out.Items = append(out.Items, v)
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// deliveries are what a webhook was told last, newest first; with waiting=true what it is still to be told, in order.
func (s *Surface) deliveries(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "waiting", "limit", "cursor")
	page, waiting := q.Page(), q.Str("waiting") == "true"
	if err := q.Err(); err != nil {
		return err
	}
	id := r.PathValue("webhook")
	view := fold.Of[*projections.Webhooks](s.Views)
	if _, ok, err := view.Webhook(id); err != nil {
		return err
	} else if !ok {
		return fault.New(fault.NotFound, "no webhook %q", api.Short(id))
	}
	if waiting {
		p, err := view.Due(id, page)
		return api.Paged(w, p, err)
	}
	p, err := view.Ended(id, page)
	return api.Paged(w, p, err)
}
