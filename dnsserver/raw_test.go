package dnsserver_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// Parts of messages that no library would build.

// flagsQuery is the flags of a plain query; an opcode goes into bits 11 to 14.
const flagsQuery = 0

func opcode(op int) uint16 { return uint16(op) << 11 }

// header returns a message header with the counts of question, answer, authority and additional records.
func header(flags uint16, counts ...uint16) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x12, 0x34}, flags)
	for i := range 4 {
		n := uint16(0)
		if i < len(counts) {
			n = counts[i]
		}
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

func wireName(tb testing.TB, name string) []byte {
	tb.Helper()
	b := make([]byte, 300)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	return b[:n]
}

func wireQuestion(tb testing.TB, name string, qtype uint16) []byte {
	tb.Helper()
	b := binary.BigEndian.AppendUint16(wireName(tb, name), qtype)
	return binary.BigEndian.AppendUint16(b, dns.ClassINET)
}

// wireOPT returns an OPT record. The flags are DO and those behind it.
func wireOPT(size uint16, version byte, flags uint16, rdata []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0}, dns.TypeOPT)
	b = binary.BigEndian.AppendUint16(b, size)
	b = append(b, 0, version)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return append(b, rdata...)
}

// message puts parts together without sharing memory with any of them.
func message(parts ...[]byte) []byte { return slices.Concat(parts...) }

// rawRecords walks over a message and calls visit for each record with the offset of its owner, type and data.
func rawRecords(tb testing.TB, msg []byte, visit func(owner int, typ uint16, data int, length int)) {
	tb.Helper()
	_, off, err := dns.UnpackDomainName(msg, 12)
	if err != nil {
		tb.Fatal(err)
	}
	off += 4
	for off < len(msg) {
		owner := off
		_, end, err := dns.UnpackDomainName(msg, off)
		if err != nil {
			tb.Fatal(err)
		}
		length := int(binary.BigEndian.Uint16(msg[end+8:]))
		visit(owner, binary.BigEndian.Uint16(msg[end:]), end+10, length)
		off = end + 10 + length
	}
}
