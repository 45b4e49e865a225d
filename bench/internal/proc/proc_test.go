package proc_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/proc"
)

func TestParseStat(t *testing.T) {
	const tail = " S 7 42 42 0 -1 4194560 100 0 0 0 250 125 0 0 20 0 1 0 100 1000 10"
	for _, test := range []struct {
		name, in string
		want     proc.Stat
	}{
		{"plain", "42 (nsd)" + tail, proc.Stat{PID: 42, Parent: 7, User: 2500 * time.Millisecond, System: 1250 * time.Millisecond}},
		{"spaces", "42 (a b)" + tail, proc.Stat{PID: 42, Parent: 7, User: 2500 * time.Millisecond, System: 1250 * time.Millisecond}},
		{"parentheses", "42 (x) S 1 (y))" + tail, proc.Stat{PID: 42, Parent: 7, User: 2500 * time.Millisecond, System: 1250 * time.Millisecond}},
	} {
		got, err := proc.ParseStat([]byte(test.in))
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", test.name, err, diff)
		}
	}
	for _, in := range []string{"", "42", "42 nsd S 7", ") (", "(nsd)" + tail, "42 (nsd) S 7", "42 (nsd)" + strings.Replace(tail, "250", "x", 1)} {
		if got, err := proc.ParseStat([]byte(in)); err == nil {
			t.Errorf("ParseStat(%q) = %+v, want an error", in, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (nsd) S 7 42 42 0 -1 4194560 100 0 0 0 250 125 0 0"))
	f.Add([]byte("1 () R"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if stat, err := proc.ParseStat(text); err != nil && stat != (proc.Stat{}) {
			t.Errorf("error %v with %+v", err, stat)
		}
	})
}

func TestParsePss(t *testing.T) {
	got, err := proc.ParsePss([]byte("5500-7ffc ---p 0 00:00 0 [rollup]\nRss:   9000 kB\nPss:   1234 kB\nPss_Dirty:  99 kB\n"))
	if err != nil || got != 1234*1024 {
		t.Errorf("got %d, %v, want %d", got, err, 1234*1024)
	}
	for _, in := range []string{"", "Rss: 1 kB\n", "Pss: x kB\n"} {
		if got, err := proc.ParsePss([]byte(in)); err == nil {
			t.Errorf("ParsePss(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseBusy(t *testing.T) {
	const text = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 10 20 30 4000 5000 40 50 60 7 8\ncpu10 1 0 0 9 9 0 0 0 0 0\n"
	for _, test := range []struct {
		core int
		want time.Duration
	}{
		{0, 2100 * time.Millisecond},
		{10, 10 * time.Millisecond},
	} {
		if got, err := proc.ParseBusy([]byte(text), test.core); err != nil || got != test.want {
			t.Errorf("core %d: %v, %v, want %v", test.core, got, err, test.want)
		}
	}
	for _, in := range []string{"", text, "cpu1 1 2 3\n", "cpu1 1 2 x 4 5 6 7 8\n", "cpu1 x 2 3 4 5 6 7 8\n"} {
		if got, err := proc.ParseBusy([]byte(in), 1); err == nil {
			t.Errorf("core 1 in %q: %v, want an error", in, got)
		}
	}
}

func TestDescend(t *testing.T) {
	children := map[int][]int{1: {2, 3}, 3: {4}, 5: {6}}
	if diff := cmp.Diff(proc.Tree{1, 2, 3, 4}, proc.Descend(children, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFindHasDescendants looks for a shell's child that waits for its input to end.
func TestFindHasDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", "cat; true")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	eventually(t, func() error {
		tree, err := proc.Find(cmd.Process.Pid)
		if err == nil && (len(tree) != 2 || tree[0] != cmd.Process.Pid) {
			err = fmt.Errorf("tree %v", tree)
		}
		return err
	})
	self, err := proc.Find(os.Getpid())
	if err != nil || !slices.Contains(self, cmd.Process.Pid) {
		t.Errorf("own tree %v, %v lacks %d", self, err, cmd.Process.Pid)
	}
}

func eventually(t *testing.T, ok func() error) {
	t.Helper()
	err := ok()
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); err = ok() {
		runtime.Gosched()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCPUIsUserAndSystem burns time and compares the exact figure with the rough ones of /proc/PID/stat.
func TestCPUIsUserAndSystem(t *testing.T) {
	tree := proc.Tree{os.Getpid()}
	for first := cpu(t, tree); cpu(t, tree) < first+200*time.Millisecond; {
	}
	user, system, err := tree.Times()
	if err != nil {
		t.Fatal(err)
	}
	if diff := (cpu(t, tree) - user - system).Abs(); diff > 50*time.Millisecond {
		t.Errorf("CPU differs from user and system time by %v", diff)
	}
}

func cpu(t *testing.T, tree proc.Tree) time.Duration {
	t.Helper()
	d, err := tree.CPU()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMemoryCountsWhatIsTouched(t *testing.T) {
	tree := proc.Tree{os.Getpid()}
	before, err := tree.Memory()
	if err != nil {
		t.Fatal(err)
	}
	data, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	after, err := tree.Memory()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Munmap(data); err != nil {
		t.Fatal(err)
	}
	if grown := int64(after) - int64(before); grown < 60<<20 || grown > 80<<20 {
		t.Errorf("64 MiB more count as %d octets", grown)
	}
}

func TestGoneProcess(t *testing.T) {
	tree := proc.Tree{1<<22 - 1}
	if _, err := tree.CPU(); err == nil {
		t.Error("CPU: no error")
	}
	if _, err := tree.Memory(); err == nil {
		t.Error("Memory: no error")
	}
	if _, _, err := tree.Times(); err == nil {
		t.Error("Times: no error")
	}
}

// TestPin pins this process, and gives it back its cores.
func TestPin(t *testing.T) {
	before := cores(t)
	t.Cleanup(func() {
		if err := proc.Pin(before...); err != nil {
			t.Error(err)
		}
	})
	if err := proc.Pin(before[0]); err != nil {
		t.Fatal(err)
	}
	if after := cores(t); !slices.Equal(after, before[:1]) {
		t.Errorf("pinned to cores %v, want core %d alone", after, before[0])
	}
	if err := proc.Pin(1023); err == nil {
		t.Error("pinning to a core that is not there: no error")
	}
}

func cores(t *testing.T) []int {
	t.Helper()
	list, err := proc.Cores()
	if err != nil || len(list) == 0 {
		t.Fatalf("cores %v, %v", list, err)
	}
	return list
}

func TestBusyIsTheSum(t *testing.T) {
	var sum time.Duration
	list := cores(t)
	for _, core := range list {
		busy, err := proc.Busy(core)
		if err != nil || busy <= 0 {
			t.Fatalf("Busy(%d) = %v, %v", core, busy, err)
		}
		sum += busy
	}
	if all, err := proc.Busy(list...); err != nil || all < sum {
		t.Errorf("Busy(%v) = %v, %v, less than the sum before, %v", list, all, err, sum)
	}
	if _, err := proc.Busy(list[0], 1<<20); err == nil {
		t.Error("a core that is not there: no error")
	}
}

// TestOwnHasEndedChildren: what a child burns counts once it has been waited for.
func TestOwnHasEndedChildren(t *testing.T) {
	before, err := proc.Own()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	after, err := proc.Own()
	if err != nil || after < before+10*time.Millisecond {
		t.Errorf("%v after %v, error %v", after, before, err)
	}
}
