package configs

import (
	"os"

	"github.com/spf13/viper"
)

// Effective is a configuration with the source of each of its values.
type Effective struct {
	Config
	sources map[string]string // by key: "--dns-ttl", "DNSREG_DNS_TTL", "dnsreg.yaml:7" or "default"
}

// Source returns where the value of a key comes from: its flag, its variable, the file and line, or "default".
func (e *Effective) Source(key string) string { return e.sources[key] }

// Load puts the configuration together: flags over environment variables over the file over defaults. An empty variable
// counts as none. Its error is an [*Error] that lists all that is wrong with any key, or a [*FileError] that says why the
// file could not be read.
func (f *Flags) Load() (*Effective, error) {
	file, err := readFile(f.path())
	if err != nil {
		return nil, err
	}
	v, err := f.layers(file)
	if err != nil {
		return nil, err
	}
	e := &Effective{Config: Default(), sources: make(map[string]string)}
	wrong := append(checkEnviron(os.Environ()), file.problems...)
	for _, field := range fields() {
		source := f.source(field.Key, file)
		e.sources[field.Name] = source
		wrong.report(field.Name, source, field.set(&e.Config, v.GetString(field.Name)))
	}
	wrong = append(wrong, e.crossCheck(e.Source)...)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return e, nil
}

// layers returns a viper that knows every source of every key. Keys stay flat: with a delimiter that none contains,
// viper has no nested maps to lose a value in.
func (f *Flags) layers(file *document) (*viper.Viper, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	values := make(map[string]any, len(file.values))
	for key, text := range file.values {
		values[key] = text
	}
	if err := v.MergeConfigMap(values); err != nil {
		return nil, err
	}
	for _, field := range fields() {
		v.SetDefault(field.Name, field.Default)
		if err := v.BindEnv(field.Name, field.Env()); err != nil {
			return nil, err
		}
		if err := v.BindFlagValue(field.Name, f.values[field.Name]); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// source returns which of a key's sources wins, by the same rule as viper.
func (f *Flags) source(key Key, file *document) string {
	_, inFile := file.values[key.Name]
	switch {
	case f.values[key.Name].HasChanged():
		return "--" + key.Flag()
	case os.Getenv(key.Env()) != "":
		return key.Env()
	case inFile:
		return file.source(file.lines[key.Name])
	default:
		return "default"
	}
}
