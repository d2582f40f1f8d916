package events

// SystemHealth is a service's word on its health. Topic "system-health".
type SystemHealth struct {
	ServiceName    string  `json:"service_name"`
	Status         string  `json:"status"` // ok, degraded, down
	CPUUsage       float64 `json:"cpu_usage"`
	MemoryUsage    float64 `json:"memory_usage"`
	ResponseTimeMs float64 `json:"response_time_ms,omitempty"`
	Timestamp      string  `json:"timestamp"`
}

func (*SystemHealth) EventType() string { return "system.health" }
