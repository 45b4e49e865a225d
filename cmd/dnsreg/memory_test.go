package main_test

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	main "github.com/dnsreg/dnsreg/cmd/dnsreg"
)

func TestGroupMemory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no control groups", nil, 0},
		{"version 1", map[string]string{"proc/self/cgroup": "4:memory:/docker/1\n", "sys/fs/cgroup/memory.max": "1000"}, 0},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		{"in a container", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 536870912},
		{"a service", map[string]string{
			"proc/self/cgroup":                                     "1:name=systemd:/x\n0::/system.slice/dnsreg.service\n",
			"sys/fs/cgroup/system.slice/memory.max":                "max\n",
			"sys/fs/cgroup/system.slice/dnsreg.service/memory.max": "2000\n",
		}, 2000},
		{"a group above allows less", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/b/memory.max": "2000\n",
		}, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for file, text := range tt.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := main.GroupMemory(root); got != tt.want {
				t.Errorf("%d octets, want %d", got, tt.want)
			}
		})
	}
}

func TestLimitMemory(t *testing.T) {
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64) })
	root := fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("10000000000000\n")},
	}
	debug.SetMemoryLimit(math.MaxInt64 - 1) // as GOMEMLIMIT does
	if got := main.LimitMemory(root); got != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64-1 {
		t.Errorf("a limit of %d beside that of the environment", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if got := main.LimitMemory(fstest.MapFS{}); got != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("a limit of %d without a control group", got)
	}
	const want = 9_000_000_000_000
	if got := main.LimitMemory(root); got != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("a limit of %d, want %d", got, int64(want))
	}
}
