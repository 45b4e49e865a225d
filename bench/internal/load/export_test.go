package load

// ParseDnsperf reads dnsperf's statistics.
var ParseDnsperf = parseDnsperf
