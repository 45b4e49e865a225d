package main_test

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	dnsreg "github.com/dnsreg/dnsreg/cmd/dnsreg"
)

// patience bounds every wait; nothing here is expected to take a tenth of it.
const patience = 30 * time.Second

// TestMain puts dnsreg into the PATH of the tests: the test's own binary, which runs main under that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dnsreg": dnsreg.Main})
}

// TestScripts runs the sessions of testdata. Beside testscript's own commands they have
//
//	serve [flag]...             start a server on free ports, and point DNSREG_SERVER and DNSREG_DNS to it; HTTP is its address
//	signal TERM|INT             send it to that server, wait for its end, which must be clean, and write its log to server.log
//	code N program [arg]...     run a program that must end with this exit code
//	eventually REGEXP program…  run a program again and again until it succeeds and prints that
//	silent                      set SILENT to an address that takes what is sent and never replies
//	taken                       set TAKEN to an address that is in use, over UDP and TCP
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setup,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":      cmdServe,
			"signal":     cmdSignal,
			"code":       cmdCode,
			"eventually": cmdEventually,
			"silent":     cmdSilent,
			"taken":      cmdTaken,
		},
	})
}
