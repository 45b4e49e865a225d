package proc

// What the tests parse without a file.
var (
	ParsePss  = parsePss
	ParseBusy = parseBusy
	Descend   = descend
)
