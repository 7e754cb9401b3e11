//go:build wasip1

package timers

import (
	"unsafe"

	"weir/internal/abi"
)

//go:wasmimport weir:state/timers@0.2.0 now
func now(clock Clock) uint64

// The result is on the heap: the host asks for memory during the call, and the stack may move for that.
//
//go:wasmimport weir:state/timers@0.2.0 set
func hostSet(key, tag string, clock Clock, at uint64, result unsafe.Pointer)

//go:wasmimport weir:state/timers@0.2.0 cancel
func cancel(key, tag string)

func set(key, tag string, clock Clock, at uint64) (string, bool) {
	// `result<_, string>` is laid out as an option of the error.
	result := new(abi.Option)
	hostSet(key, tag, clock, at, unsafe.Pointer(result))
	defer abi.Release()
	if !result.Is {
		return "", false
	}
	return abi.String(result.Value), true
}
