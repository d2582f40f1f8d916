package events

// FieldError says which field of a payload is wrong, and what it should be.
type FieldError struct {
	Field   string // its wire name
	Message string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Message }
