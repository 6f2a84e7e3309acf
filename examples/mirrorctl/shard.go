package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The environment of a Kubernetes Indexed Job says which of its pods one is, from 0 on; how
// many there are is for its manifest to say.
const (
	envJobIndex = "JOB_COMPLETION_INDEX"
	envShards   = "MIRRORCTL_SHARDS"
)

// shard is the part of a fleet that one process looks at: the index-th of so many, from 0
// on. People count from 1 on.
type shard struct{ index, of int }

func (s shard) String() string { return fmt.Sprintf("%d/%d", s.index+1, s.of) }

// has reports whether a customer is in the shard. Which one a customer is in must never
// change: it is the first 8 bytes of the SHA-256 of the context identifier in lower case,
// as a big-endian number, modulo how many there are.
func (s shard) has(contextID string) bool {
	sum := sha256.Sum256([]byte(strings.ToLower(contextID)))
	return binary.BigEndian.Uint64(sum[:8])%uint64(s.of) == uint64(s.index)
}

// parseShard parses what people write, such as 3/8.
func parseShard(text string) (shard, error) {
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if !ok || errors.Join(err1, err2) != nil || index < 1 || of < index {
		return shard{}, usagef("--shard %q: want such as 3/8, the third of eight", text)
	}
	return shard{index - 1, of}, nil
}

// shard is that of --shard, or else that of the environment, or else all of the fleet.
func (a *app) shard(flag string) (shard, error) {
	if flag != "" {
		return parseShard(flag)
	}
	index, shards := a.env(envJobIndex), a.env(envShards)
	switch {
	case index == "" && shards == "":
		return shard{0, 1}, nil
	case shards == "":
		return shard{}, usagef("%s is set, so this is one of several: say of how many by %s, or which by --shard; --shard 1/1 is all of the fleet", envJobIndex, envShards)
	case index == "":
		return shard{}, usagef("%s is set, but not which one this is: say it by %s, from 0 on, or by --shard", envShards, envJobIndex)
	}
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(shards)
	if errors.Join(err1, err2) != nil || i < 0 || n <= i {
		return shard{}, usagef("%s=%q and %s=%q: want a number from 0 on, and one that is greater", envJobIndex, index, envShards, shards)
	}
	return shard{i, n}, nil
}
