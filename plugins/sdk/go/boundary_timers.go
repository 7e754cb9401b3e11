//go:build wasip1 && weir_stateful

package weir

import (
	"unsafe"

	"weir/internal/abi"
	"weir/timers"
)

type rawTimer struct {
	key, tag abi.List
	clock    uint8
	at       uint64
}

var _ = [1]int{}[unsafe.Sizeof(rawTimer{})-32]

//go:wasmexport weir:state/timer-handler@0.2.0#on-timer
func exportOnTimer(batch unsafe.Pointer, length uint32) unsafe.Pointer {
	due := make([]timers.Timer, length)
	for index, raw := range unsafe.Slice((*rawTimer)(batch), length) {
		key, tag := abi.String(raw.key), abi.String(raw.tag)
		due[index] = timers.Timer{Key: key, Tag: tag, Clock: timers.Clock(raw.clock), At: raw.at}
	}
	abi.Release()

	outcomes := make([]outcome, length)
	for index := range due {
		outcomes[index] = processTimer(&due[index])
	}
	return lowered(outcomes)
}

//go:wasmexport cabi_post_weir:state/timer-handler@0.2.0#on-timer
func afterOnTimer(unsafe.Pointer) { forget() }
