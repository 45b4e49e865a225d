package dnsserver_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

func testKey(algorithm string) dnsserver.Key {
	return dnsserver.Key{Name: "secondary.key", Algorithm: algorithm, Secret: []byte("0123456789abcdef0123456789abcdef")}
}

func withKey(algorithm string) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) { c.Keys = append(c.Keys, testKey(algorithm)) }
}

func base64Of(secret []byte) string { return base64.StdEncoding.EncodeToString(secret) }

// sign returns a message signed by another implementation, as if at some time from now, and its MAC.
func sign(tb testing.TB, m *dns.Msg, key dnsserver.Key, ahead time.Duration) ([]byte, string) {
	tb.Helper()
	m = m.Copy()
	m.SetTsig(dns.Fqdn(key.Name), key.Algorithm+".", 300, time.Now().Add(ahead).Unix())
	wire, mac, err := dns.TsigGenerate(m, base64Of(key.Secret), "", false)
	if err != nil {
		tb.Fatal(err)
	}
	return wire, mac
}

// wireTSIG returns a TSIG record with a MAC.
func wireTSIG(tb testing.TB, name, algorithm string, mac []byte) []byte {
	alg := wireName(tb, algorithm)
	data := binary.BigEndian.AppendUint64(alg, uint64(time.Now().Unix())<<16|300)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(mac))), mac...)
	data = append(data, 0x12, 0x34, 0, 0, 0, 0)
	b := append(wireName(tb, name), 0, 250, 0, 255, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// tsigOf returns the TSIG record of a message, which has to be the last one, or nil.
func tsigOf(tb testing.TB, wire []byte) (*dns.Msg, *dns.TSIG) {
	tb.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		tb.Fatalf("%x: %v", wire, err)
	}
	return m, m.IsTsig()
}

func TestX7SignedQueries(t *testing.T) {
	for _, algorithm := range []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		s := newServer(t, newSource(web(t), many(t, "_big._tcp", 100)), withKey(algorithm))
		key := testKey(algorithm)
		for _, name := range []string{zone, "_http._tcp." + zone, "nope." + zone, "_big._tcp." + zone, "other.test."} {
			for _, m := range []*dns.Msg{question(name, dns.TypeSRV), edns(question(name, dns.TypeSRV), 700)} {
				query, mac := sign(t, m, key, 0)
				wire := s.Answer(query, nil, dnsserver.UDP)
				if err := dns.TsigVerify(wire, base64Of(key.Secret), mac, false); err != nil {
					t.Errorf("%s %s: %v", algorithm, name, err)
				}
				signed, _ := tsigOf(t, wire)
				plain := exchange(t, s, m, dnsserver.UDP)
				if len(wire) > 700 || signed.Rcode != plain.Rcode || (signed.IsEdns0() == nil) != (m.IsEdns0() == nil) {
					t.Errorf("%s %s: %d octets: %v", algorithm, name, len(wire), signed)
				}
				if !signed.Truncated && len(signed.Answer) != len(plain.Answer) {
					t.Errorf("%s %s: %v, want %v", algorithm, name, signed.Answer, plain.Answer)
				}
			}
		}
	}
}

// TestX7TruncatedReplies holds that a signature never makes a reply longer than it may be (RFC 8945 section 5.3).
func TestX7TruncatedReplies(t *testing.T) {
	key := dnsserver.Key{Name: strings.Repeat("k", 63) + "." + strings.Repeat("k", 33), Algorithm: "hmac-sha512", Secret: make([]byte, 64)}
	s := newServer(t, newSource(many(t, "_big._tcp", 100)), func(c *dnsserver.Config) {
		c.Keys, c.NSID = []dnsserver.Key{key}, strings.Repeat("n", 128)
	})
	label := strings.Repeat("x", 63)
	long := strings.Repeat(label+".", 3) + label[:49] + "." + zone // 255 octets
	for _, name := range []string{"_big._tcp." + zone, long} {
		for _, size := range []uint16{0, 512} {
			m := question(name, dns.TypeSRV)
			if size > 0 {
				m.SetEdns0(size, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
			}
			query, mac := sign(t, m, key, 0)
			wire := s.AnswerTo(from(secondary), query, nil)
			r, _ := tsigOf(t, wire)
			if err := dns.TsigVerify(wire, base64Of(key.Secret), mac, false); err != nil || len(wire) > 512 || !r.Truncated {
				t.Errorf("%.20s: %d octets, %v: %v", name, len(wire), err, r.MsgHdr)
			}
		}
	}
}

func TestX7WrongSignatures(t *testing.T) { synctest.Test(t, wrongSignatures) }

// wrongSignatures is for a clock that stands, so that the last second that is good can be told from the next.
func wrongSignatures(t *testing.T) {
	s := newServer(t, newSource(web(t)), withKey("hmac-sha256"), transfers("@secondary.key"))
	good := testKey("hmac-sha256")
	other, secret, renamed := good, good, testKey("hmac-sha512")
	other.Name, secret.Secret = "nobody.key", []byte("another secret that is long")
	for _, tt := range []struct {
		name   string
		key    dnsserver.Key
		ahead  time.Duration
		want   int
		signed bool
	}{
		{"unknown key", other, 0, dns.RcodeBadKey, false},
		{"wrong algorithm", renamed, 0, dns.RcodeBadKey, false},
		{"wrong secret", secret, 0, dns.RcodeBadSig, false},
		{"wrong secret and time", secret, time.Hour, dns.RcodeBadSig, false},
		{"late", good, -301 * time.Second, dns.RcodeBadTime, true},
		{"early", good, 301 * time.Second, dns.RcodeBadTime, true},
	} {
		for _, m := range []*dns.Msg{question(zone, dns.TypeSOA), axfr(), new(dns.Msg).SetNotify(zone), new(dns.Msg).SetUpdate(zone)} {
			query, mac := sign(t, m, tt.key, tt.ahead)
			wire := s.AnswerTo(from(secondary), query, nil)
			r, tsig := tsigOf(t, wire)
			if r.Rcode != dns.RcodeNotAuth || tsig == nil || int(tsig.Error) != tt.want || (tsig.MACSize > 0) != tt.signed || len(r.Answer) > 0 {
				t.Fatalf("%s: %v", tt.name, r)
			}
			if !tt.signed {
				continue
			}
			// The library verifies no reply that is NOTAUTH, but signs one.
			again := r.Copy()
			_, want, err := dns.TsigGenerate(again, base64Of(tt.key.Secret), mac, false)
			if err != nil || want != tsig.MAC || tsig.TimeSigned != uint64(time.Now().Add(tt.ahead).Unix()) {
				t.Errorf("%s: %v, MAC %s, want %s", tt.name, err, tsig.MAC, want)
			}
			now, err := hex.DecodeString(tsig.OtherData)
			if err != nil || len(now) != 6 || int64(binary.BigEndian.Uint32(now[2:])) != time.Now().Unix() {
				t.Errorf("%s: the server's time is %q", tt.name, tsig.OtherData)
			}
		}
	}
	for _, ahead := range []time.Duration{-300 * time.Second, 300 * time.Second} {
		query, _ := sign(t, question(zone, dns.TypeSOA), good, ahead)
		if r, tsig := tsigOf(t, s.AnswerTo(from(secondary), query, nil)); r.Rcode != dns.RcodeSuccess || tsig == nil {
			t.Errorf("%v ahead: %v", ahead, r)
		}
	}
	counts := s.Stats().Signatures
	if counts.BadKey != 8 || counts.BadSig != 8 || counts.BadTime != 8 || counts.Good != 2 {
		t.Errorf("counted %+v", counts)
	}
}

// TestX7WhereTSIGStands holds that a record in the wrong place or form is an error in the message (RFC 8945 section 5.1).
func TestX7WhereTSIGStands(t *testing.T) {
	s := newServer(t, newSource(web(t)), withKey("hmac-sha256"))
	q := wireQuestion(t, zone, dns.TypeSOA)
	tsig := wireTSIG(t, "secondary.key.", "hmac-sha256.", make([]byte, 32))
	class, ttl, long := append([]byte(nil), tsig...), append([]byte(nil), tsig...), append([]byte(nil), tsig...)
	class[18], ttl[22], long[15+2+2+4+2+13+8+1] = 1, 1, 200
	pointer := append(message(wireName(t, "secondary.key."), []byte{0, 250, 0, 255, 0, 0, 0, 0, 0, 50, 0xc0, 12}), make([]byte, 48)...)
	for name, tt := range map[string]struct {
		msg  []byte
		want string
	}{
		"last":            {message(header(flagsQuery, 1, 0, 0, 1), q, tsig), "NOTAUTH"},
		"behind OPT":      {message(header(flagsQuery, 1, 0, 0, 2), q, wireOPT(1232, 0, 0, nil), tsig), "NOTAUTH"},
		"before OPT":      {message(header(flagsQuery, 1, 0, 0, 2), q, tsig, wireOPT(1232, 0, 0, nil)), "FORMERR"},
		"twice":           {message(header(flagsQuery, 1, 0, 0, 2), q, tsig, tsig), "FORMERR"},
		"answer":          {message(header(flagsQuery, 1, 1, 0, 0), q, tsig), "FORMERR"},
		"authority":       {message(header(flagsQuery, 1, 0, 1, 0), q, tsig), "FORMERR"},
		"class":           {message(header(flagsQuery, 1, 0, 0, 1), q, class), "FORMERR"},
		"TTL":             {message(header(flagsQuery, 1, 0, 0, 1), q, ttl), "FORMERR"},
		"MAC too long":    {message(header(flagsQuery, 1, 0, 0, 1), q, wireTSIG(t, "secondary.key.", "hmac-sha256.", make([]byte, 33))), "FORMERR"},
		"MAC too short":   {message(header(flagsQuery, 1, 0, 0, 1), q, wireTSIG(t, "secondary.key.", "hmac-sha256.", make([]byte, 15))), "FORMERR"},
		"MAC of nothing":  {message(header(flagsQuery, 1, 0, 0, 1), q, wireTSIG(t, "secondary.key.", "hmac-sha256.", nil)), "FORMERR"},
		"lengths":         {message(header(flagsQuery, 1, 0, 0, 1), q, long), "FORMERR"},
		"compressed data": {message(header(flagsQuery, 1, 0, 0, 1), q, pointer), "FORMERR"},
		"empty":           {message(header(flagsQuery, 1, 0, 0, 1), q, []byte{0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0}), "FORMERR"},
	} {
		r := exchangeRaw(t, s, tt.msg, dnsserver.UDP)
		if rcode(r) != tt.want || len(r.Answer) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestX7TruncatedMACs holds that a short but right MAC is told apart from a wrong one.
func TestX7TruncatedMACs(t *testing.T) {
	s := newServer(t, newSource(web(t)), withKey("hmac-sha256"))
	query, mac := sign(t, question(zone, dns.TypeSOA), testKey("hmac-sha256"), 0)
	full, err := hex.DecodeString(mac)
	if err != nil {
		t.Fatal(err)
	}
	macAt := len(query) - 6 - len(full)
	lengthAt := macAt - 2
	short := append(append(append([]byte(nil), query[:lengthAt]...), 0, 20), query[macAt:macAt+20]...)
	short = append(short, query[macAt+len(full):]...)
	rdlen := lengthAt - 8 - len(wireName(t, "hmac-sha256.")) - 2
	binary.BigEndian.PutUint16(short[rdlen:], binary.BigEndian.Uint16(short[rdlen:])-12)
	r, tsig := tsigOf(t, s.Answer(short, nil, dnsserver.UDP))
	if r.Rcode != dns.RcodeNotAuth || tsig.Error != dns.RcodeBadTrunc || tsig.MACSize != 32 {
		t.Errorf("right: %v", r)
	}
	short[macAt]++
	if r, tsig = tsigOf(t, s.Answer(short, nil, dnsserver.UDP)); tsig.Error != dns.RcodeBadSig || tsig.MACSize != 0 {
		t.Errorf("wrong: %v", r)
	}
}

// TestX7EveryTransport holds that no socket leads past the check, and that streams are signed message by message.
func TestX7EveryTransport(t *testing.T) {
	key := testKey("hmac-sha384")
	r := start(t, newServer(t, newSource(many(t, "_big._tcp", 300)), withKey("hmac-sha384"), transfers("@secondary.key")))
	for _, network := range []string{"udp", "tcp"} {
		for secret, want := range map[string]string{base64Of(key.Secret): "NOERROR", base64Of(make([]byte, 32)): "NOTAUTH"} {
			m := question(zone, dns.TypeSOA)
			m.SetTsig("secondary.key.", dns.HmacSHA384, 300, time.Now().Unix())
			client := dns.Client{Net: network, Timeout: patience, TsigSecret: map[string]string{"secondary.key.": secret}}
			reply, _, err := client.Exchange(m, r.addr)
			if reply == nil || rcode(reply) != want || (err == nil) != (want == "NOERROR") {
				t.Errorf("%s: %v, %v", network, reply, err)
			}
		}
	}
	for secret, want := range map[string]bool{base64Of(key.Secret): true, base64Of(make([]byte, 32)): false} {
		m := axfr()
		m.SetTsig("secondary.key.", dns.HmacSHA384, 300, time.Now().Unix())
		in := dns.Transfer{
			TsigSecret:  map[string]string{"secondary.key.": secret},
			DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
		}
		messages, err := in.In(m, r.addr)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for e := range messages {
			if e.Error != nil {
				err = e.Error
			}
			n += len(e.RR)
		}
		if (err == nil) != want || (n > 1000) != want {
			t.Errorf("%d records, %v", n, err)
		}
	}
}

func TestX7UnsignedStaysUnsigned(t *testing.T) {
	s := newServer(t, newSource(web(t)), withKey("hmac-sha256"))
	if _, tsig := tsigOf(t, s.Answer(pack(t, question(zone, dns.TypeSOA)), nil, dnsserver.UDP)); tsig != nil {
		t.Errorf("%v", tsig)
	}
	// Without keys every key is unknown.
	none := newServer(t, newSource(web(t)))
	query, _ := sign(t, question(zone, dns.TypeSOA), testKey("hmac-sha256"), 0)
	if r, tsig := tsigOf(t, none.Answer(query, nil, dnsserver.TCP)); tsig == nil || tsig.Error != dns.RcodeBadKey || r.Rcode != dns.RcodeNotAuth {
		t.Errorf("%v", r)
	}
}

func TestParseKeys(t *testing.T) {
	secret := base64Of(make([]byte, 16))
	for _, tt := range []struct{ name, in, broken string }{
		{"empty", "", ""},
		{"all algorithms", "# ours\na hmac-sha256 " + secret + "\n\nb.key. HMAC-SHA384 " + secret + "\n c\thmac-sha512 " + secret, ""},
		{"longest secret", "a hmac-sha256 " + base64Of(make([]byte, 1024)), ""},
		{"longest name", strings.Repeat("k", 63) + "." + strings.Repeat("k", 34) + " hmac-sha256 " + secret, ""},
		{"longer name", strings.Repeat("k", 63) + "." + strings.Repeat("k", 35) + " hmac-sha256 " + secret, "line 1: key"},
		{"two fields", "a " + secret, "line 1: must be a name, an algorithm and a secret"},
		{"no base64", "\na hmac-sha256 !!!", "line 2: must be"},
		{"MD5", "a hmac-md5 " + secret, "algorithm must be"},
		{"short secret", "a hmac-sha256 " + base64Of(make([]byte, 15)), "16 to 1024 octets"},
		{"long secret", "a hmac-sha256 " + base64Of(make([]byte, 1025)), "16 to 1024 octets"},
		{"odd name", "a@b hmac-sha256 " + secret, "name must be"},
		{"root", ". hmac-sha256 " + secret, "name must be"},
		{"twice", "a hmac-sha256 " + secret + "\nA. hmac-sha512 " + secret, "line 2: key \"A.\": name must not be given twice"},
		{"65 keys", manyKeys(65), "line 65: 65 keys"},
		{"64 keys", manyKeys(64), ""},
	} {
		_, err := dnsserver.ParseKeys(strings.NewReader(tt.in))
		switch {
		case tt.broken == "" && err != nil, tt.broken != "" && (err == nil || !strings.Contains(err.Error(), tt.broken)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.broken)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%s: the secret is told: %v", tt.name, err)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key-%d hmac-sha256 %s\n", i, base64Of(make([]byte, 16)))
	}
	return b.String()
}

func TestKeysAreNotPrinted(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, testKey("hmac-sha256")); !strings.Contains(text, "(secret)") || strings.Contains(text, "48, 49") || strings.Contains(text, "0x30") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

// FuzzParseKeys holds that whatever is read can be used.
func FuzzParseKeys(f *testing.F) {
	f.Add("# comment\na.key hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg==\n")
	f.Add("a hmac-sha512")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := dnsserver.ParseKeys(strings.NewReader(text))
		if err != nil {
			return
		}
		newServer(t, newSource(), func(c *dnsserver.Config) { c.Keys = keys })
	})
}
