package endpoint

// HeartbeatAfter is the rule of pacing.
var HeartbeatAfter = heartbeatAfter

// Rate returns the renewals a second that the server paces by.
func (s *Server) Rate() float64 { return s.pacer.rate() }
