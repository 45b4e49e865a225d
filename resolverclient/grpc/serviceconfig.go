package dnsreggrpc

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/serviceconfig"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// textKey is the TXT key of a service config (gRFC A2), and with .2, .3 and so on of what does not fit into its string.
const textKey = "grpc_config"

// parser is the part of a resolver.ClientConn that reads service configs.
type parser interface {
	ParseServiceConfig(json string) *serviceconfig.ParseResult
}

// configs chooses service configs for one connection.
type configs struct {
	parser parser
	logger *slog.Logger
	self   chooser
	texts  []string // those of the last set, the one that most instances have first
	chosen *serviceconfig.ParseResult
}

func newConfigs(p parser, logger *slog.Logger) *configs {
	host, _ := os.Hostname() // without a name no choice for named hosts is meant
	return &configs{parser: p, logger: logger, self: chooser{host: host, draw: rand.IntN(100)}}
}

// choose returns the config that most instances have, of those that can be used; nil where none has one, so that
// gRPC's default applies, and the last one where none of those given can be used.
func (c *configs) choose(instances []resolverclient.Endpoint) *serviceconfig.ParseResult {
	texts := configTexts(instances)
	if slices.Equal(texts, c.texts) {
		return c.chosen
	}
	c.texts = texts
	if len(texts) == 0 {
		c.chosen = nil
	}
	for _, text := range texts {
		config, err := c.parse(text)
		if err == nil {
			c.chosen = config
			break
		}
		c.logger.Warn("service config not usable", slog.String("text", text), slog.Any("error", err))
	}
	return c.chosen
}

// parse returns the config of a text, nil where the text has no choice for this client.
func (c *configs) parse(text string) (*serviceconfig.ParseResult, error) {
	config, err := c.self.choose(text)
	if config == "" || err != nil {
		return nil, err
	}
	parsed := c.parser.ParseServiceConfig(config)
	return parsed, parsed.Err
}

// configTexts returns the texts of grpc_config that the instances have, the most frequent first.
func configTexts(instances []resolverclient.Endpoint) []string {
	votes := map[string]int{}
	for _, i := range instances {
		if text, ok := i.Text(textKey); ok {
			votes[text+continuation(i)]++
		}
	}
	var texts []string
	for text := range votes {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Or(cmp.Compare(votes[b], votes[a]), cmp.Compare(a, b))
	})
	return texts
}

// continuation returns the values of grpc_config.2 and so on, in one.
func continuation(i resolverclient.Endpoint) string {
	var b strings.Builder
	for n := 2; ; n++ {
		part, ok := i.Text(fmt.Sprintf("%s.%d", textKey, n))
		if !ok {
			return b.String()
		}
		b.WriteString(part)
	}
}

// choice is one of the list in a text (gRFC A2); an absent condition holds for everybody.
type choice struct {
	ClientLanguage []string
	Percentage     *int
	ClientHostName []string
	ServiceConfig  map[string]json.RawMessage
}

// chooser is what a client is chosen by: its host's name, and where it stands among a hundred, drawn once, so that it
// does not wander between the choices.
type chooser struct {
	host string
	draw int // 0 to 99
}

// choose returns the JSON of the first choice that holds, with this package's policy where it names none; "" where none
// holds.
func (c chooser) choose(text string) (string, error) {
	var choices []choice
	if err := json.Unmarshal([]byte(text), &choices); err != nil {
		return "", fmt.Errorf("parse %s: %w", textKey, err)
	}
	at := slices.IndexFunc(choices, c.holds)
	if at < 0 {
		return "", nil
	}
	config := choices[at].ServiceConfig
	if config == nil {
		return "", errors.New("parse " + textKey + ": the choice has no serviceConfig")
	}
	_, policies := config["loadBalancingConfig"]
	_, policy := config["loadBalancingPolicy"]
	if !policies && !policy && balancer.Get(PolicyName) != nil {
		config["loadBalancingConfig"] = json.RawMessage(policyList)
	}
	out, err := json.Marshal(config)
	return string(out), err
}

func (c chooser) holds(o choice) bool {
	isGo := func(language string) bool { return strings.EqualFold(language, "go") }
	isHost := func(host string) bool { return strings.EqualFold(host, c.host) }
	return (o.ClientLanguage == nil || slices.ContainsFunc(o.ClientLanguage, isGo)) &&
		(o.Percentage == nil || c.draw < *o.Percentage) &&
		(o.ClientHostName == nil || slices.ContainsFunc(o.ClientHostName, isHost))
}
