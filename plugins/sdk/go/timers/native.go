//go:build !wasip1

package timers

import "weir/internal/memory"

func now(Clock) uint64 { return 0 }

func set(key, tag string, clock Clock, at uint64) (string, bool) {
	memory.SetTimer(memory.Timer{Key: key, Tag: tag, Clock: uint32(clock), At: at})
	return "", false
}

func cancel(key, tag string) { memory.CancelTimer(key, tag) }
