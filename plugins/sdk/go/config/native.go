//go:build !wasip1

package config

func get(string) (string, bool) { return "", false }

func pipeline() string { return "test" }

func operator() string { return "test" }
