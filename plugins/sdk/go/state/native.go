//go:build !wasip1

package state

import "weir/internal/memory"

func get(key, name string) ([]byte, bool) { return memory.Get(key, name) }

func getMany(places []Place) [][]byte {
	values := make([][]byte, len(places))
	for index, place := range places {
		if value, found := memory.Get(place.Key, place.Name); found {
			values[index] = append([]byte{}, value...)
		}
	}
	return values
}

func set(key, name string, value []byte, ttl *uint64) (string, bool) {
	if ttl != nil && *ttl == 0 {
		memory.Delete(key, name)
	} else {
		memory.Set(key, name, value)
	}
	return "", false
}

func remove(key, name string) { memory.Delete(key, name) }

func scan(key, prefix string, after *string, limit uint32) (entries []Entry) {
	for _, name := range memory.Names(key, prefix) {
		if uint32(len(entries)) < limit && (after == nil || name > *after) {
			value, _ := memory.Get(key, name)
			entries = append(entries, Entry{name, value})
		}
	}
	return entries
}
