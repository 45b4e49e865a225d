package suite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// profileTime is how long a server is watched, in seconds.
const profileTime = 5

// Profile returns where an embedded server that is saturated with SRV queries spends its time, as `go tool pprof` shows
// it. It needs the Go toolchain.
func Profile(ctx context.Context, cfg Config, z zone.Zone) (string, error) {
	server, mix, err := embedded(ctx, cfg, "profile", z)
	if err != nil {
		return "", err
	}
	defer server.Stop()
	path := filepath.Join(cfg.Dir, "profile.pb.gz")
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error {
		_, err := load.Run(asking, load.Spec{Server: server.Addr, Mix: mix, Duration: 4 * profileTime * time.Second, Window: window})
		if asking.Err() != nil {
			return ctx.Err()
		}
		return err
	})
	group.Go(func() error {
		defer stop()
		return download(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", server.Control, profileTime), path)
	})
	if err := group.Wait(); err != nil {
		return "", fmt.Errorf("profile: %w", err)
	}
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=20", path).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	return table(string(text)), nil
}

// table leaves out the lines before the table's head but for the one that says how much was sampled.
func table(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if len(kept) > 0 || strings.HasPrefix(line, "Duration:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// download writes what a URL has to a file.
func download(ctx context.Context, url, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, reply.Status)
	}
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", url, err)
	}
	return os.WriteFile(path, text, 0o600)
}
