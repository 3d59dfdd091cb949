// What the EventStore takes and gives.
package main

import "encoding/json"

// NoStream and Any are expected versions besides those of events, which count from 0.
const NoStream, Any = -1, -2

// An Event's id is made once: without an answer, the same events may be appended again.
type Event struct {
	ID      string          `json:"event_id"`
	Type    string          `json:"event_type"`
	Data    json.RawMessage `json:"data"`
	Stream  string          `json:"stream,omitempty"`
	Version int             `json:"version,omitempty"`
}

// A Conflict tells which version the stream is at; nil: there is no stream.
type Conflict struct{ Actual *int }

func (c Conflict) Error() string { return "the stream is at another version" }
