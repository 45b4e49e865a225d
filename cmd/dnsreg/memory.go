package main

import (
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory has the garbage collector keep to nine tenths of what the process's control group allows, so that a
// burst of changes makes it work harder instead of getting the process killed. It returns the limit in octets, 0 if it
// sets none: the group has no limit, or GOMEMLIMIT is set. root is the root of the file system.
func limitMemory(root fs.FS) int64 {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return 0
	}
	allowed := groupMemory(root)
	if allowed == 0 {
		return 0
	}
	limit := allowed / 10 * 9
	debug.SetMemoryLimit(limit)
	return limit
}

// groupMemory returns how many octets the control group of this process and those above it allow, 0 for any number. It
// knows version 2 of cgroups (cgroups(7)).
func groupMemory(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // not on Linux
	}
	least := int64(0)
	for line := range strings.Lines(string(groups)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !ok {
			continue
		}
		for dir := group; ; dir = path.Dir(dir) {
			if n := memoryMax(root, path.Join("sys/fs/cgroup", dir)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if dir == "." || dir == "" {
				break
			}
		}
	}
	return least
}

// memoryMax returns the limit of one group, 0 for none.
func memoryMax(root fs.FS, group string) int64 {
	text, err := fs.ReadFile(root, path.Join(group, "memory.max"))
	if err != nil {
		return 0 // the root of all groups has no such file
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return n
}
