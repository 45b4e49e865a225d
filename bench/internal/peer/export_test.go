package peer

// Tail is what keeps a server's last words.
type Tail = tail

// What is read from the output of commands.
var (
	VersionIn = versionIn
	VersionOf = versionOf

	ParseFigures = parseFigures
)
