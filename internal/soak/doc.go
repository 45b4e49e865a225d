// Package soak holds the fault suite: servers on real Redis processes, a fleet that heartbeats through them, everything
// that we know to go wrong, and a checker that follows every instance. It has no code of its own; see its tests.
//
// The checker's rules: an instance that heartbeats is never missing from a view that had it, nor from the answers; one
// that stopped is answered for a whole lease after its last accepted heartbeat and gone within a bound after, counted
// from the end of the trouble where there was some; one that was deregistered is gone at once and stays gone; no two
// servers show different content at one revision, and no server's revision falls.
//
// The short form, with leases of 3 s and hundreds of instances, is part of every test run. The long form (make soak, or
// the flag -long) takes the leases and numbers of production. Every scenario logs the figures that it saw, which
// docs/reliability.md lists beside what is promised.
package soak
