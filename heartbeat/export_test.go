package heartbeat

// ReadAtMost is what bounds every reply.
var ReadAtMost = readAtMost

// BeatBatch is how many heartbeats an agent sends in one call.
const BeatBatch = beatBatch
