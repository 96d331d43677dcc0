// Package events is the public contract of rating events in Go: what a value on
// the topic "ratings" may look like, how it is read and written, and the key
// under which it is published. README.md beside it is the same contract in
// words, rating-event.schema.json is its JSON form for other languages.
//
// It promises that an event that [Decode] returns satisfies [Event.Validate], and
// comes back the same from [Event.JSON] and from [Event.Protobuf]. An event that is
// refused is refused with a message that names the field, what was given and what
// is allowed, and with a class ([Class]) that never changes its spelling, for
// metrics, dead letters and tests.
//
// It reads tolerantly and strictly at once: names that it does not know are ignored, so
// that the contract can grow, but a name that is a known one misspelled is
// refused, because an ignored "event_type": "delete" would be taken as a rating.
//
// It refuses to know the time: [Event.CheckTime] takes it from the caller.
package events
