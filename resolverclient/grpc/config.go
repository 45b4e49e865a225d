package dnsreggrpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/serviceconfig"
)

// PolicyName is the policy's name in service configs.
const PolicyName = "dnsreg_srv"

// policyList has the policy with its default settings, as the value of loadBalancingConfig.
const policyList = `[{"` + PolicyName + `":{}}]`

// ServiceConfig is a service config that has the policy with its default settings and nothing else, for
// grpc.WithDefaultServiceConfig.
const ServiceConfig = `{"loadBalancingConfig":` + policyList + `}`

// Register makes the policy known to gRPC under PolicyName, without which service configs cannot name it. Its registry
// is global and not guarded: call Register once, before the first grpc.NewClient, as the first thing in main. Importing
// this package alone registers nothing. A resolver needs no registration: see grpc.WithResolvers.
func Register() { balancer.Register(policyBuilder{}) }

// policyBuilder is what the registry holds.
type policyBuilder struct{}

// Name returns PolicyName.
func (policyBuilder) Name() string { return PolicyName }

// ParseConfig returns the settings of a service config, or an error that names every wrong one. Unknown ones are
// ignored, as balancer.ConfigParser asks: they may be those of a later version.
func (policyBuilder) ParseConfig(raw json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	c := defaultSettings()
	given := struct {
		EjectAfter    *int
		EjectFor      *duration
		FailoverDelay *duration
	}{&c.ejectAfter, (*duration)(&c.ejectFor), (*duration)(&c.failoverDelay)}
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, fmt.Errorf("parse %s: %w", PolicyName, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("parse %s: %w", PolicyName, err)
	}
	return c, nil
}

// settings are those of one policy; see the package comment.
type settings struct {
	serviceconfig.LoadBalancingConfig

	ejectAfter    int // negative: never
	ejectFor      time.Duration
	failoverDelay time.Duration
}

func defaultSettings() *settings {
	return &settings{ejectAfter: 5, ejectFor: 10 * time.Second, failoverDelay: time.Second}
}

func (s *settings) check() error {
	var errs []error
	if s.ejectAfter == 0 {
		errs = append(errs, errors.New("ejectAfter 0: must be 1 or more, or negative for never"))
	}
	if s.ejectFor <= 0 {
		errs = append(errs, fmt.Errorf("ejectFor %v: must be above 0", s.ejectFor))
	}
	if s.failoverDelay < 0 {
		errs = append(errs, fmt.Errorf("failoverDelay %v: must be 0 or more", s.failoverDelay))
	}
	return errors.Join(errs...)
}

// duration is written as "1.5s" in JSON, as protobuf's durations are, and may have any unit that time knows.
type duration time.Duration

// UnmarshalText reads a duration.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}
