package metrics

// transferFamilies are about secondaries, and the signatures by which they and others are known.
func transferFamilies() []family {
	return []family{
		counts("dns_transfers_total", "Zone transfers that were asked for, by what was answered.", func(s scrape, emit func(float64, ...string)) {
			t := s.dns.Transfers
			emit(float64(t.Full), "full")
			emit(float64(t.Incremental), "incremental")
			emit(float64(t.Unchanged), "unchanged")
			emit(float64(t.Refused), "refused")
			emit(float64(t.Crowded), "crowded")
			emit(float64(t.Broken), "broken")
		}, "result"),
		count("dns_transfer_bytes_total", "Size of the messages of zone transfers.", func(s scrape) uint64 { return s.dns.Transfers.Octets }),
		gauge("dns_journal_steps", "Changes that are kept for incremental transfers.", func(s scrape) float64 { return float64(s.dns.Transfers.JournalSteps) }),
		gauge("dns_journal_bytes", "Size of the changes that are kept for incremental transfers.", func(s scrape) float64 { return float64(s.dns.Transfers.JournalOctets) }),
		count("dns_notify_messages_total", "Messages that told secondaries of changes, repeated ones too.", func(s scrape) uint64 { return s.dns.Notifies.Sent }),
		counts("dns_notifies_total", "Changes that secondaries were to be told of, by what they answered.", func(s scrape, emit func(float64, ...string)) {
			n := s.dns.Notifies
			emit(float64(n.Acknowledged), "acknowledged")
			emit(float64(n.Refused), "refused")
			emit(float64(n.Failed), "unanswered")
		}, "result"),
		counts("dns_signatures_total", "DNS queries with a TSIG record, by what came of checking it.", func(s scrape, emit func(float64, ...string)) {
			c := s.dns.Signatures
			emit(float64(c.Good), "good")
			emit(float64(c.BadKey), "badkey")
			emit(float64(c.BadSig), "badsig")
			emit(float64(c.BadTime), "badtime")
			emit(float64(c.BadTrunc), "badtrunc")
		}, "result"),
	}
}
