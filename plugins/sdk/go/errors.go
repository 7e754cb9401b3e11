package weir

import "time"

// A RetryError says that a fault will pass: the message is delivered again. Any other error from
// Process is a rejection: a message that cannot be read today cannot be read tomorrow.
type RetryError struct {
	// Err is the reason, for whoever reads the log.
	Err error
	// After is how long to wait at least; nil leaves it to the pipeline's backoff.
	After *time.Duration
}

// Retry marks err as one that will pass: deliver the message again, with the pipeline's backoff.
// After the pipeline's `retry.max-attempts` it becomes a dead letter.
func Retry(err error) error { return &RetryError{Err: err} }

// RetryAfter marks err as one that will pass: deliver the message again, not before after.
func RetryAfter(err error, after time.Duration) error {
	return &RetryError{Err: err, After: &after}
}

func (retry *RetryError) Error() string { return retry.Err.Error() }

// Unwrap is the reason.
func (retry *RetryError) Unwrap() error { return retry.Err }
