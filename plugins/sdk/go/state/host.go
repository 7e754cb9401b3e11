//go:build wasip1

package state

import (
	"runtime"
	"unsafe"

	"weir/internal/abi"
)

// Results are on the heap, so none of these is go:noescape: the host asks for memory during the call,
// and the stack may move for that.

//go:wasmimport weir:state/state@0.2.0 get
func hostGet(key, name string, result unsafe.Pointer)

//go:wasmimport weir:state/state@0.2.0 get-many
func hostGetMany(places unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport weir:state/state@0.2.0 set
func hostSet(key, name string, value unsafe.Pointer, length uint32, lives bool, ttl uint64, result unsafe.Pointer)

//go:wasmimport weir:state/state@0.2.0 delete
func remove(key, name string)

//go:wasmimport weir:state/state@0.2.0 scan
func hostScan(key, prefix string, follows bool, after string, limit uint32, result unsafe.Pointer)

// A pair is `tuple<string, string>` and `tuple<string, list<u8>>`.
type pair struct{ one, other abi.List }

func get(key, name string) ([]byte, bool) {
	result := new(abi.Option)
	hostGet(key, name, unsafe.Pointer(result))
	defer abi.Release()
	if !result.Is {
		return nil, false
	}
	return abi.Bytes(result.Value), true
}

func getMany(places []Place) [][]byte {
	names := make([]pair, len(places))
	for index := range places {
		place := &places[index]
		names[index] = pair{
			abi.ListOf(unsafe.StringData(place.Key), len(place.Key)),
			abi.ListOf(unsafe.StringData(place.Name), len(place.Name)),
		}
	}
	result := new(abi.List)
	first := unsafe.Pointer(unsafe.SliceData(names))
	hostGetMany(first, uint32(len(names)), unsafe.Pointer(result))
	// Of the addresses in the names the garbage collector knows nothing.
	runtime.KeepAlive(places)
	defer abi.Release()
	values := make([][]byte, len(places))
	for index, value := range unsafe.Slice((*abi.Option)(abi.Pointer(result.At)), result.Length) {
		if value.Is {
			values[index] = abi.Bytes(value.Value)
		}
	}
	return values
}

func set(key, name string, value []byte, ttl *uint64) (string, bool) {
	var milliseconds uint64
	if ttl != nil {
		milliseconds = *ttl
	}
	// `result<_, string>` is laid out as an option of the error.
	result := new(abi.Option)
	bytes := unsafe.Pointer(unsafe.SliceData(value))
	hostSet(key, name, bytes, uint32(len(value)), ttl != nil, milliseconds, unsafe.Pointer(result))
	defer abi.Release()
	if !result.Is {
		return "", false
	}
	return abi.String(result.Value), true
}

func scan(key, prefix string, after *string, limit uint32) []Entry {
	behind := ""
	if after != nil {
		behind = *after
	}
	result := new(abi.List)
	hostScan(key, prefix, after != nil, behind, limit, unsafe.Pointer(result))
	defer abi.Release()
	entries := make([]Entry, result.Length)
	for index, pair := range unsafe.Slice((*pair)(abi.Pointer(result.At)), result.Length) {
		entries[index] = Entry{abi.String(pair.one), abi.Bytes(pair.other)}
	}
	return entries
}
