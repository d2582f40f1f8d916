package damage

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Met is the damage that was met in a database since it was opened. The zero value is ready, and safe for concurrent
// use.
type Met struct {
	mu    sync.Mutex
	names []string // of the files, in the order in which damage was met in them
	first error    // the detail of the first
}

// Note takes down that a file, or what it holds, is damaged, and says whether that is news.
func (m *Met) Note(name string, detail error) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.names, name) {
		return false
	}
	if len(m.names) == 0 {
		m.first = detail
	}
	m.names = append(m.names, name)
	return true
}

// String names the files, with what is wrong with the first; "" while no damage was met.
func (m *Met) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.names) == 0 {
		return ""
	}
	text := m.names[0]
	if m.first != nil {
		text = Text(m.first.Error())
		if !strings.Contains(text, m.names[0]) {
			text = m.names[0] + ": " + text
		}
	}
	for _, name := range m.names[1:min(len(m.names), linesMax)] {
		text += "; " + name
	}
	if more := len(m.names) - linesMax; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
