package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Busy returns how long a core has been busy, to the hundredth of a second, from /proc/stat. Time that the hypervisor
// gave to others counts.
func Busy(core int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(text, core)
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

// Pin keeps every thread of this process, and those that they will start, on the given cores.
func Pin(cores ...int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin thread %d to cores %v: %w", tid, cores, err)
		}
	}
	return nil
}
