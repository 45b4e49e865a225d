package configs

import (
	"os"

	"github.com/spf13/pflag"
)

// configEnv names the configuration file where --config does not.
const configEnv = envPrefix + "CONFIG"

// Flags are the command line's part of a configuration. Make them with [BindFlags].
type Flags struct {
	file   string
	values map[string]*flagValue // by key
}

// BindFlags adds --config and a flag for every key to set, some with an alias, and returns what they will be set to. A
// list's flag may be given several times.
func BindFlags(set *pflag.FlagSet) *Flags {
	f := &Flags{values: make(map[string]*flagValue)}
	set.StringVar(&f.file, "config", "", "YAML file of the configuration ("+configEnv+")")
	for _, field := range fields() {
		v := &flagValue{name: field.Flag(), kind: field.Type, text: field.Default, separator: field.separator}
		f.values[field.Name] = v
		flag := set.VarPF(v, field.Flag(), "", field.Usage)
		if field.Type == "bool" {
			flag.NoOptDefVal = "true"
		}
		if field.Alias != "" {
			set.Var(v, field.Alias, "short for --"+field.Flag())
		}
	}
	return f
}

// path returns the path of the configuration file, empty if there is none.
func (f *Flags) path() string {
	if f.file == "" {
		return os.Getenv(configEnv)
	}
	return f.file
}

// flagValue is the text of one key's flags. It is a pflag.Value and a viper.FlagValue.
type flagValue struct {
	name, kind string
	text       string
	separator  string // of a list's elements
	changed    bool
}

// Set takes the text of the flag, or one more part of its list.
func (v *flagValue) Set(text string) error {
	if v.changed && v.separator != "" {
		text = v.text + v.separator + text
	}
	v.text, v.changed = text, true
	return nil
}

// String returns the text so far.
func (v *flagValue) String() string { return v.text }

// Type returns what help shows for the value.
func (v *flagValue) Type() string { return v.kind }

// HasChanged reports whether a flag was given.
func (v *flagValue) HasChanged() bool { return v.changed }

// Name returns the flag's name.
func (v *flagValue) Name() string { return v.name }

// ValueString returns the text so far.
func (v *flagValue) ValueString() string { return v.text }

// ValueType returns the type in which viper hands the value on.
func (v *flagValue) ValueType() string { return "string" }
