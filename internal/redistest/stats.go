package redistest

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

// CommandStat is what a server has counted of one command since its start or CONFIG RESETSTAT.
type CommandStat struct {
	Calls int
	CPU   time.Duration
}

// CommandStats returns the server's INFO commandstats by command, in small letters, a subcommand as "config|get".
func (s *Server) CommandStats() map[string]CommandStat {
	s.t.Helper()
	stats := make(map[string]CommandStat)
	for key, value := range s.Info("commandstats") {
		fields := make(map[string]int)
		for field := range strings.SplitSeq(value, ",") {
			name, number, _ := strings.Cut(field, "=")
			if n, err := strconv.Atoi(number); err == nil {
				fields[name] = n
			}
		}
		name := strings.TrimPrefix(key, "cmdstat_")
		stats[name] = CommandStat{Calls: fields["calls"], CPU: time.Duration(fields["usec"]) * time.Microsecond}
	}
	return stats
}

// Calls returns how often each command was called between two results of CommandStats; those that were not are left out.
func Calls(before, after map[string]CommandStat) map[string]int {
	calls := make(map[string]int)
	for name, stat := range after {
		calls[name] = stat.Calls - before[name].Calls
	}
	maps.DeleteFunc(calls, func(_ string, n int) bool { return n == 0 })
	return calls
}

// Info returns the fields of one section of the server's INFO.
func (s *Server) Info(section string) map[string]string {
	s.t.Helper()
	text, ok := s.Do("INFO", section).(string)
	if !ok {
		s.t.Fatalf("INFO %s: not a string", section)
	}
	return fields(text)
}

// fields reads the lines "name:value" of INFO and CLUSTER INFO.
func fields(text string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			found[name] = value
		}
	}
	return found
}
