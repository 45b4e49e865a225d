module github.com/dnsreg/dnsreg/resolverclient/bench

go 1.26.0

replace github.com/dnsreg/dnsreg => ../..

replace github.com/dnsreg/dnsreg/resolverclient/grpc => ../grpc

require (
	github.com/dnsreg/dnsreg v0.0.0
	github.com/dnsreg/dnsreg/resolverclient/grpc v0.0.0
	github.com/go-kit/kit v0.13.0
	github.com/miekg/dns v1.1.73
	google.golang.org/grpc v1.85.0
)

require (
	github.com/go-kit/log v0.2.0 // indirect
	github.com/go-logfmt/logfmt v0.5.1 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
