package configs

import (
	"errors"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

var (
	errServerName    = errors.New(`must begin with a host label of the zone, such as ns1, or a full name that ends in a dot`)
	errServerAddress = errors.New("must have unicast IP addresses, such as ns1=192.0.2.1,2001:db8::1")
)

// nameServerKind is a name server: "ns1=192.0.2.1,2001:db8::1" in text, a mapping of name and addresses in the file.
// Semicolons stand between several.
func nameServerKind() kind[NameServer] {
	return kind[NameServer]{
		name:    "name=ip,...",
		between: ";",
		parse:   parseNameServer,
		format:  formatNameServer,
		node:    nameServerNode,
		element: nameServerText,
	}
}

func parseNameServer(s string) (NameServer, error) {
	name, addresses, found := strings.Cut(s, "=")
	ns := NameServer{Name: name}
	if !isServerName(name) {
		return ns, errServerName
	}
	if !found {
		return ns, nil
	}
	for text := range strings.SplitSeq(addresses, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return ns, errServerAddress
		}
		ns.Addresses = append(ns.Addresses, a.Unmap())
	}
	return ns, nil
}

func isServerName(s string) bool {
	if strings.HasSuffix(s, ".") {
		return isHostName(s)
	}
	return dnssd.CheckHostLabel(s) == nil
}

func formatNameServer(ns NameServer) string {
	if len(ns.Addresses) == 0 {
		return ns.Name
	}
	texts := make([]string, len(ns.Addresses))
	for i, a := range ns.Addresses {
		texts[i] = a.String()
	}
	return ns.Name + "=" + strings.Join(texts, ",")
}

func nameServerNode(ns NameServer) *yaml.Node {
	addresses := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, a := range ns.Addresses {
		addresses.Content = append(addresses.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: a.String()})
	}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		plain("name"),
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: ns.Name},
		plain("addresses"), addresses,
	}}
}

// nameServerText returns the text form of a mapping of name and addresses.
func nameServerText(n *yaml.Node) (string, []fault) {
	texts, faults := memberTexts(n, []string{"name", "addresses"}, func(key string, value *yaml.Node) (string, []fault) {
		if key == "addresses" {
			return leafText(value, ",", nil)
		}
		return leafText(value, "", nil)
	})
	if texts["addresses"] == "" {
		return texts["name"], faults
	}
	return texts["name"] + "=" + texts["addresses"], faults
}
