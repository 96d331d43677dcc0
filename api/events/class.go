package events

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"movieexample.com/internal/fault"
)

// The classes of refusal. README.md lists them; their spelling is part of the contract.
const (
	classEmpty       = "empty"
	classTooLarge    = "too-large"
	classContentType = "bad-content-type"
	classUTF8        = "bad-utf8"
	classNotJSON     = "not-json"
	classNotObject   = "not-an-object"
	classTooDeep     = "too-deep"
	classTrailing    = "trailing-data"
	classDuplicate   = "duplicate-name"
	classMisspelled  = "misspelled-name"
	classWrongType   = "wrong-type"
	classMissing     = "missing-field"
	classID          = "bad-id"
	classRecordType  = "bad-record-type"
	classEventType   = "bad-event-type"
	classNotInteger  = "value-not-integer"
	classValueRange  = "value-out-of-range"
	classProviderID  = "bad-provider-id"
	classTime        = "bad-time"
	classTimeRange   = "time-out-of-range"
	classNotProtobuf = "not-protobuf"
)

// Classes returns every class that [Class] can return for a refused event.
func Classes() []string {
	return []string{
		classEmpty, classTooLarge, classContentType, classUTF8, classNotJSON, classNotObject, classTooDeep,
		classTrailing, classDuplicate, classMisspelled, classWrongType, classMissing, classID, classRecordType,
		classEventType, classNotInteger, classValueRange, classProviderID, classTime, classTimeRange, classNotProtobuf,
	}
}

// refusal puts a class on a fault. It is not exported: a caller asks [Class] for
// the one half and errors.As or fault.KindOf for the other.
type refusal struct {
	class string
	err   error // a *fault.Error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Class returns why an event was refused, as one of [Classes], or "" when err
// is not a refusal of this package.
func Class(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.class
	}
	return ""
}

func refuse(class, field, format string, args ...any) error {
	return &refusal{class: class, err: fault.Invalid(field, format, args...)}
}

func classify(class string, err error) error { return &refusal{class: class, err: err} }

// show quotes what was given for a message, at most 64 bytes of it.
func show(v string) string {
	const limit = 64
	if len(v) <= limit {
		return strconv.Quote(v)
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return strconv.Quote(v[:cut]) + "…"
}
