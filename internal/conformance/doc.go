// Package conformance holds docs/conformance.md to the tests: every line has tests that are there, and mutants of the
// server that those tests notice. It has no code of its own.
package conformance
