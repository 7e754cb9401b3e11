//go:build wasip1

package abi

import "unsafe"

// Memory that the host has asked for and filled. It belongs to Go's heap, one object for each
// string and list, so that each lives exactly as long as somebody holds it; until whoever was
// called holds them, they are held here.
var (
	held      [][]byte
	heldBytes int
)

// Release lets go of what the host has written, and tells how many bytes that was. What is in use
// by then is held by its user.
func Release() int {
	bytes := heldBytes
	clear(held)
	held, heldBytes = held[:0], 0
	return bytes
}

// Before Go's runtime is up, it asks WASI for random numbers, and the host's adapter of WASI asks
// here for its stack and its state, of 64 KiB each. That is all that is asked for so early, and it
// is kept for ever.
var (
	early     [192 << 10]byte
	earlyUsed uint32
	isUp      bool
)

func init() { isUp = true }

// reallocate is how the host gets memory for what it hands over. The component model forbids any
// call of an import while it runs, but an allocation in Go may ask for the time, and may begin a
// garbage collection, which does so often. So the adapter's clock is stopped for that long, and the
// goroutine pinned to its thread, in which state the runtime does not begin a collection, take part
// in one, or switch to another goroutine; the next allocation of the plugin itself does.
//
//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	if !isUp {
		from := (earlyUsed + 15) &^ 15
		earlyUsed = from + size
		return unsafe.Pointer(&early[from : from+size][0])
	}
	stopClock(true)
	procPin()
	// Go aligns an object at the greatest power of 2 that divides its size, up to 8 at least. The
	// size of whatever is in a list is a multiple of its alignment, and that is at most 8.
	memory := make([]byte, size)
	held, heldBytes = append(held, memory), heldBytes+int(size)
	procUnpin()
	stopClock(false)
	if oldSize > 0 {
		copy(memory, unsafe.Slice((*byte)(old), oldSize))
	}
	return unsafe.Pointer(unsafe.SliceData(memory))
}

// stopClock makes the adapter answer with the time that it last told, without asking the host.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func stopClock(stopped bool)

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
