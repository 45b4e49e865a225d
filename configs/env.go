package configs

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// clientEnv returns the variables that say nothing about a server: those of the client verbs, and the file's.
func clientEnv() []string {
	return []string{configEnv, envPrefix + "SERVER", envPrefix + "DNS", envPrefix + "TOKEN_FILE"}
}

// CheckEnvironment returns an [*Error] that names each environment variable that begins with DNSREG_, is not empty and
// means nothing. [Flags.Load] checks the same.
func CheckEnvironment() error { return checkEnviron(os.Environ()).err() }

// checkEnviron returns a problem for each variable of environ, "NAME=value", that begins like ours and is none.
func checkEnviron(environ []string) problems {
	known := clientEnv()
	for _, f := range fields() {
		known = append(known, f.Env())
	}
	var p problems
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		ours := strings.HasPrefix(name, envPrefix) && value != ""
		if ours && !slices.Contains(known, name) && !isServiceLink(name, value) {
			p.report(name, "environment", []fault{{rule: unknownKey(name, known)}})
		}
	}
	slices.SortFunc(p, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	return p
}

// isServiceLink reports whether a variable is one of those that Kubernetes and Docker links set for a service that is
// called dnsreg or dnsreg-something: DNSREG_SERVICE_HOST=10.0.0.1, DNSREG_PORT=tcp://10.0.0.1:8054,
// DNSREG_PORT_8054_TCP_ADDR=10.0.0.1.
func isServiceLink(name, value string) bool {
	const link = `^DNSREG_(.+_)?(SERVICE_HOST=.*|SERVICE_PORT(_.+)?=\d+|PORT=(tcp|udp|sctp)://.*|PORT_\d+_(TCP|UDP|SCTP)(_.+)?=.*)$`
	return regexp.MustCompile(link).MatchString(name + "=" + value)
}
