package resolverclient

// Names for the tests of what has no exported form.
var (
	PlanTurns = planTurns
	DrawOrder = drawOrder
)
