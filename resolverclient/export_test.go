package resolverclient

import "fmt"

// Names for the tests of what has no exported form.
var (
	PlanTurns = planTurns
	DrawOrder = drawOrder
)

// MaxSnapshot bounds a snapshot file.
const MaxSnapshot = maxSnapshot

// SealSnapshot puts the first line of a snapshot before a body.
func SealSnapshot(body []byte) []byte {
	return append(fmt.Appendf(nil, snapshotHead, checksum(body), len(body)), body...)
}
