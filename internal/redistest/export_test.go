package redistest

// Ended reports whether the server's process has ended.
func (s *Server) Ended() bool { return s.process.ended() }
