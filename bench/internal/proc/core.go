package proc

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Busy returns how long some cores have been busy, in all, to the hundredth of a second, from /proc/stat. Time that the
// hypervisor gave to others counts.
func Busy(cores ...int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, core := range cores {
		busy, err := parseBusy(text, core)
		if err != nil {
			return 0, err
		}
		sum += busy
	}
	return sum, nil
}

// parseBusy sums a core's user, nice, system, irq, softirq and steal times.
func parseBusy(text []byte, core int) (time.Duration, error) {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != "cpu"+strconv.Itoa(core) {
			continue
		}
		values, err := integers(fields[1], fields[2], fields[3], fields[6], fields[7], fields[8])
		if err != nil {
			return 0, err
		}
		var sum time.Duration
		for _, v := range values {
			sum += time.Duration(v) * tick
		}
		return sum, nil
	}
	return 0, fmt.Errorf("there is no core %d in /proc/stat", core)
}

// Pin keeps every thread of this process, and those that they will start, on the given cores. It looks again until it finds
// no thread that it does not know: one that is not pinned yet may start others.
func Pin(cores ...int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	for pinned := make(map[string]bool); ; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		known := len(pinned)
		for _, thread := range threads {
			if pinned[thread.Name()] {
				continue
			}
			if err := pin(thread.Name(), &set); err != nil {
				return fmt.Errorf("pin thread %s to cores %v: %w", thread.Name(), cores, err)
			}
			pinned[thread.Name()] = true
		}
		if len(pinned) == known {
			return nil
		}
	}
}

// pin keeps a thread on some cores, unless it has ended.
func pin(thread string, set *unix.CPUSet) error {
	tid, err := strconv.Atoi(thread)
	if err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(tid, set); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Cores returns the cores that this process may use.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	var cores []int
	for core := range len(set) * bits.UintSize {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// Own returns the processor time of this process and of its children that have ended and were waited for.
func Own() (time.Duration, error) {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		if err := unix.Getrusage(who, &usage); err != nil {
			return 0, fmt.Errorf("read own processor time: %w", err)
		}
		sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return sum, nil
}
