//go:build wasip1

// Package abi is the floor of the boundary between a plugin and its host: memory that the host asks
// for, and lists as the component model's canonical ABI has them.
package abi

import "unsafe"

// A List is a list or a string in memory. Pointers are 32 bits wide there, and 64 in Go.
type List struct{ At, Length uint32 }

// An Option is an optional list or string.
type Option struct {
	Is    bool
	Value List
}

// Some is an option that is there.
func Some(value List) Option { return Option{true, value} }

// ListOf is a list that begins at first. Whoever calls keeps it alive.
func ListOf[T any](first *T, length int) List {
	return List{Address(unsafe.Pointer(first)), uint32(length)}
}

// Address is where a pointer points to.
func Address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

// Pointer is the pointer to an address.
func Pointer(address uint32) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }

// String is a string that the host has written, without a copy.
func String(list List) string {
	return unsafe.String((*byte)(Pointer(list.At)), list.Length)
}

// Bytes are those of a list that the host has written, without a copy. Never nil.
func Bytes(list List) []byte {
	if list.Length == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(Pointer(list.At)), list.Length)
}
