package main

// What the tests call.
var (
	Run      = run
	Model    = model
	Virtual  = virtual
	Machine  = machine
	Versions = versions
)
