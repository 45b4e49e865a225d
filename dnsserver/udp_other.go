//go:build !linux || !(amd64 || arm64)

package dnsserver

import (
	"errors"
	"net"
)

// batched says that this system has no batchLoop.
const batched = false

// batchConn is what a socket is to other systems.
type batchConn = net.UDPConn

func newBatchConn(conn *net.UDPConn) (*batchConn, error) { return conn, nil }

func (l *listener) newBatchLoop(conn *net.UDPConn, w worker) udpLoop { return l.newSingleLoop(conn, w) }

// bindMore opens no more sockets: several loops may share one.
func bindMore(*net.UDPConn, string, int) ([]*net.UDPConn, error) { return nil, nil }

func setBuffers(conn *net.UDPConn, size int) error {
	return errors.Join(conn.SetReadBuffer(size), conn.SetWriteBuffer(size))
}
