package heartbeat

// ReadAtMost is what bounds every reply.
var ReadAtMost = readAtMost
