// Package proc reads from Linux what processes cost.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is a process and its descendants, by process id.
type Tree []int

// Find returns the tree below a process as it stands.
func Find(root int) (Tree, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read process: %w", err)
		}
		stat, err := ParseStat(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		children[stat.Parent] = append(children[stat.Parent], stat.PID)
	}
	return descend(children, root), nil
}

func descend(children map[int][]int, pid int) Tree {
	tree := Tree{pid}
	for _, child := range children[pid] {
		tree = append(tree, descend(children, child)...)
	}
	return tree
}

// CPU returns the processor time that the tree has used. It is user and system time as in /proc/PID/stat, from the same
// counter of the kernel, but in nanoseconds rather than in hundredths of a second.
func (t Tree) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range t {
		var now unix.Timespec
		if err := unix.ClockGettime(clockOf(pid), &now); err != nil {
			return 0, fmt.Errorf("read processor time of %d: %w", pid, err)
		}
		sum += time.Duration(now.Nano())
	}
	return sum, nil
}

// clockOf returns the clock of a process's processor time, as clock_getcpuclockid(3) makes it.
func clockOf(pid int) int32 { return ^int32(pid)<<3 | 2 }

// Memory returns the octets that the tree keeps resident. What its processes share counts once.
func (t Tree) Memory() (uint64, error) {
	var sum uint64
	for _, pid := range t {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		n, err := parsePss(text)
		if err != nil {
			return 0, fmt.Errorf("memory of %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

// parsePss returns the proportional set size of a smaps_rollup file in octets.
func parsePss(text []byte) (uint64, error) {
	for line := range strings.Lines(string(text)) {
		if field := strings.Fields(line); len(field) == 3 && field[0] == "Pss:" {
			n, err := strconv.ParseUint(field[1], 10, 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("there is no Pss")
}

// Stat is what is needed of /proc/PID/stat.
type Stat struct {
	PID, Parent  int
	User, System time.Duration
}

// tick is the unit of times in /proc, the same on every machine.
const tick = 10 * time.Millisecond

// ParseStat reads /proc/PID/stat. The name in it may contain anything.
func ParseStat(text []byte) (Stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return Stat{}, errors.New("no name in parentheses")
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 13 {
		return Stat{}, fmt.Errorf("%d fields behind the name", len(fields))
	}
	values, err := integers(strings.TrimSpace(string(text[:open])), fields[1], fields[11], fields[12])
	if err != nil {
		return Stat{}, err
	}
	return Stat{
		PID:    values[0],
		Parent: values[1],
		User:   time.Duration(values[2]) * tick,
		System: time.Duration(values[3]) * tick,
	}, nil
}

func integers(texts ...string) ([]int, error) {
	values := make([]int, len(texts))
	for i, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		values[i] = n
	}
	return values, nil
}

// Times returns the tree's user and system time to the hundredth of a second.
func (t Tree) Times() (user, system time.Duration, err error) {
	for _, pid := range t {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, 0, fmt.Errorf("read processor time: %w", err)
		}
		stat, err := ParseStat(text)
		if err != nil {
			return 0, 0, fmt.Errorf("processor time of %d: %w", pid, err)
		}
		user += stat.User
		system += stat.System
	}
	return user, system, nil
}
