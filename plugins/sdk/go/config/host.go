//go:build wasip1

package config

import (
	"strings"
	"unsafe"

	"weir/internal/abi"
)

// Results are on the heap, so none of these is go:noescape: the host asks for memory during the call,
// and the stack may move for that.

//go:wasmimport weir:plugin/config@0.1.0 get
func hostGet(pointer string, result unsafe.Pointer)

//go:wasmimport weir:plugin/config@0.1.0 pipeline
func hostPipeline(result unsafe.Pointer)

//go:wasmimport weir:plugin/config@0.1.0 operator
func hostOperator(result unsafe.Pointer)

func get(pointer string) (string, bool) {
	result := new(abi.Option)
	hostGet(strings.ToValidUTF8(pointer, "\uFFFD"), unsafe.Pointer(result))
	return taken(result.Value), result.Is
}

func pipeline() string {
	result := new(abi.List)
	hostPipeline(unsafe.Pointer(result))
	return taken(*result)
}

func operator() string {
	result := new(abi.List)
	hostOperator(unsafe.Pointer(result))
	return taken(*result)
}

// taken is what the host has just written, held by the caller alone.
func taken(list abi.List) string {
	text := abi.String(list)
	abi.Release()
	return text
}
