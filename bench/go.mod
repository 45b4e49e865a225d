module github.com/dnsreg/dnsreg/bench

go 1.26.0

replace github.com/dnsreg/dnsreg => ../

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/dnsreg/dnsreg v0.0.0
	github.com/google/go-cmp v0.7.0
	github.com/miekg/dns v1.1.73
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/dchest/siphash v1.2.3 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
