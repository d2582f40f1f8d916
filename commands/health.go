package commands

import "github.com/projectionist/projectionist/events"

// PublishHealth publishes a service's word on its health.
type PublishHealth struct{ events.SystemHealth }

func (*PublishHealth) FactType() string  { return "system.health" }
func (*PublishHealth) Topic() string     { return events.SystemHealthTopic }
func (c *PublishHealth) Key() string     { return c.ServiceName }
func (c *PublishHealth) Subject() string { return "service/" + c.ServiceName }
func (c *PublishHealth) Time() string    { return c.Timestamp }

func (c *PublishHealth) Event(timestamp string) events.Data {
	h := c.SystemHealth
	h.Timestamp = timestamp
	return &h
}

func (c *PublishHealth) Validate() error {
	var f faults
	f.id("service_name", c.ServiceName)
	f.oneOf("status", c.Status, "ok", "degraded", "down")
	f.nonNegative("cpu_usage", c.CPUUsage)
	f.nonNegative("memory_usage", c.MemoryUsage)
	f.nonNegative("response_time_ms", c.ResponseTimeMs)
	f.timestamp("timestamp", c.Timestamp)
	return f.err()
}
