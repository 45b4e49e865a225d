package main_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// unit returns the settings of a unit file, each with its values in order.
func unit(t testing.TB, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

// TestUnits holds that the example units say what the server understands: a verb and flags that there are, the capability
// for port 53, and UDP with TCP at each address under the name by which they are known as DNS'.
func TestUnits(t *testing.T) {
	service := unit(t, "../../configs/systemd/dnsreg.service")
	if want := []string{"/usr/local/bin/dnsreg serve --config /etc/dnsreg/dnsreg.yaml"}; !slices.Equal(service["ExecStart"], want) {
		t.Errorf("ExecStart %q, want %q", service["ExecStart"], want)
	}
	if want := []string{"CAP_NET_BIND_SERVICE"}; !slices.Equal(service["AmbientCapabilities"], want) || !slices.Equal(service["CapabilityBoundingSet"], want) {
		t.Errorf("capabilities %q within %q, want %q", service["AmbientCapabilities"], service["CapabilityBoundingSet"], want)
	}
	socket := unit(t, "../../configs/systemd/dnsreg.socket")
	if len(socket["ListenStream"]) == 0 || !slices.Equal(socket["ListenStream"], socket["ListenDatagram"]) {
		t.Errorf("TCP %q, UDP %q", socket["ListenStream"], socket["ListenDatagram"])
	}
	if !slices.Equal(socket["FileDescriptorName"], []string{"dns"}) || !slices.Equal(socket["Service"], []string{"dnsreg.service"}) {
		t.Errorf("name %q, service %q", socket["FileDescriptorName"], socket["Service"])
	}
}
