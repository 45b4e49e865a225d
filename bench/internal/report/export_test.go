package report

// Splice puts text in place of what is between the markers.
var Splice = splice

// Begin and End are the markers of the measured section.
const (
	Begin = begin
	End   = end
)

// Step is the distance between the lines of a plot.
var Step = step
