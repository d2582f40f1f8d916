package handlers

import (
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

type webhook struct {
	exists, deleted, disabled      bool
	name, url, description, secret string
	events                         []string
	ended                          place // of the last delivery that has ended
}

// place is of a part of an event of the ledger.
type place struct {
	offset      int64
	index, part int
}

func (p place) before(o place) bool {
	return p.offset < o.offset || p.offset == o.offset && (p.index < o.index || p.index == o.index && p.part < o.part)
}

func (s *webhook) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.WebhookCreated:
		*s = webhook{exists: true, disabled: e.Disabled, name: e.Name, url: e.URL, description: e.Description, secret: e.Secret, events: e.Events, ended: place{offset: -1}}
	case *events.WebhookRenamed:
		s.name = e.Name
	case *events.WebhookDescribed:
		s.description = e.Description
	case *events.WebhookMoved:
		s.url = e.URL
	case *events.WebhookSubscribed:
		s.events = e.Events
	case *events.WebhookSecretSet:
		s.secret = e.Secret
	case *events.WebhookEnabled:
		s.disabled = false
	case *events.WebhookDisabled:
		s.disabled = true
	case *events.WebhookDeleted:
		s.deleted = true
	case *events.WebhookDelivered:
		s.ended = place{e.Offset, e.Index, e.Part}
	case *events.WebhookDeliveryFailed:
		s.ended = place{e.Offset, e.Index, e.Part}
	}
}

func (s *webhook) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.CreateWebhook); ok {
		if s.exists {
			return refuse(fault.Conflict, "webhook_id", "webhook %s exists already", c.WebhookID)
		}
		e := events.WebhookCreated(*c)
		e.Events = slices.Clone(c.Events)
		return one(&e)
	}
	if !s.exists || s.deleted {
		return refuse(fault.NotFound, "webhook_id", "no webhook at %s", c.Stream())
	}
	switch c := c.(type) {
	case *commands.UpdateWebhook:
		return s.update(c), nil
	case *commands.DeleteWebhook:
		return one(&events.WebhookDeleted{WebhookID: c.WebhookID})
	case *commands.EndDelivery:
		if !s.ended.before(place{c.Offset, c.Index, c.Part}) { // by another node; they end in order
			return nil, nil
		}
		if c.Delivered {
			return one(&events.WebhookDelivered{WebhookDelivery: c.WebhookDelivery})
		}
		return one(&events.WebhookDeliveryFailed{WebhookDelivery: c.WebhookDelivery})
	}
	return nil, noRule(c)
}

func (s *webhook) update(c *commands.UpdateWebhook) (decided []events.Data) {
	if c.Name != nil && *c.Name != s.name {
		decided = append(decided, &events.WebhookRenamed{WebhookID: c.WebhookID, Name: *c.Name})
	}
	if c.Description != nil && *c.Description != s.description {
		decided = append(decided, &events.WebhookDescribed{WebhookID: c.WebhookID, Description: *c.Description})
	}
	if c.URL != nil && *c.URL != s.url {
		decided = append(decided, &events.WebhookMoved{WebhookID: c.WebhookID, URL: *c.URL})
	}
	if c.Events != nil && !slices.Equal(c.Events, s.events) {
		decided = append(decided, &events.WebhookSubscribed{WebhookID: c.WebhookID, Events: slices.Clone(c.Events)})
	}
	if c.Secret != nil && *c.Secret != s.secret {
		decided = append(decided, &events.WebhookSecretSet{WebhookID: c.WebhookID, Secret: *c.Secret})
	}
	if c.Disabled != nil && *c.Disabled != s.disabled {
		if *c.Disabled {
			return append(decided, &events.WebhookDisabled{WebhookID: c.WebhookID})
		}
		decided = append(decided, &events.WebhookEnabled{WebhookID: c.WebhookID})
	}
	return decided
}
