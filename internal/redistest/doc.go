// Package redistest gives tests real redis-server processes, alone, under Sentinel and as a Cluster, and the faults that
// befall them: killed, stopped, emptied, rolled back to an older file, failed over, a slot on the move, a clock that
// jumps, a network that delays, swallows, refuses, resets and cuts.
//
// Every process listens on a loopback port and has a folder of its own. All of it ends with the test, by process id, a
// stopped process too; a process whose test has died is ended by the kernel. The log of a process is shown where its
// test failed. Ports are drawn from below the range of outgoing connections, so that no client that dials a server which
// is down can take its port or reach itself, and are held against all other tests, those of other processes too, until
// their test ends.
//
// Methods that fail end the test: call them from the test's own goroutine. The programs redis-server and, for a clock
// that jumps, gcc must be installed.
package redistest
