package dnsreggrpc_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

func TestMain(m *testing.M) {
	dnsreggrpc.Register()
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
