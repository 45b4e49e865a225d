package configs

import (
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the configuration as a YAML file that says the same, but for passwords, with the source of each value
// behind it.
func (e *Effective) Print(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := make(map[string]*yaml.Node)
	for _, f := range fields() {
		section, name, _ := strings.Cut(f.Name, ".")
		if sections[section] == nil {
			sections[section] = &yaml.Node{Kind: yaml.MappingNode}
			root.Content = append(root.Content, plain(section), sections[section])
		}
		key, value := plain(name), f.node(&e.Config)
		commented := value
		if value.Kind == yaml.SequenceNode && len(value.Content) > 0 {
			commented = key
		}
		commented.LineComment = e.Source(f.Name)
		sections[section].Content = append(sections[section].Content, key, value)
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return err
	}
	return encoder.Close()
}
