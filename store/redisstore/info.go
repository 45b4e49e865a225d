package redisstore

import (
	"fmt"
	"strconv"
	"strings"
)

// info is what INFO says of a Redis server.
type info struct {
	version string
	home    string // names the one history of data that the server is in: its run and its replication id
	role    string
	policy  string // maxmemory-policy; empty where the section was not asked for
}

// parseInfo reads the reply of INFO: lines of key:value, and headings.
func parseInfo(s string) info {
	fields := make(map[string]string)
	for line := range strings.SplitSeq(s, "\n") {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":"); ok {
			fields[key] = value
		}
	}
	return info{
		version: fields["redis_version"],
		home:    fields["run_id"] + "/" + fields["master_replid"],
		role:    fields["role"],
		policy:  fields["maxmemory_policy"],
	}
}

// leastVersion is the first major version whose scripts can declare what they do.
const leastVersion = 7

// checkVersion returns an error for a server that is too old. Valkey names the version of Redis that it is compatible with.
func (i info) checkVersion() error {
	major, _, _ := strings.Cut(i.version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
		return fmt.Errorf("redis %q is too old: version %d.0 or newer is needed", i.version, leastVersion)
	}
	return nil
}
