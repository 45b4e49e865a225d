package resolverclient

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// maglevSize is the size of the table of keys, a prime: at 100 endpoints and equal weights their shares differ by
	// less than 1 %.
	maglevSize = 65537
	// loadNumerator over loadDenominator is how far above the mean an endpoint may be loaded before keys move on.
	loadNumerator, loadDenominator = 5, 4
)

// maglev maps keys to endpoints (Eisenbud et al. 2016, "Maglev", section 3.4) with bounded loads (Mirrokni et al.
// 2016): clients with the same set map a key alike, and a change of the set moves few keys.
type maglev struct {
	class  []*stats
	owners []uint16
	load   *atomic.Int64 // all picks of the balancer that are not done
}

func newMaglev(class []node, load *atomic.Int64) *maglev {
	m := &maglev{class: statsOf(class), load: load, owners: make([]uint16, maglevSize)}
	heaviest := uint64(1)
	for _, n := range class {
		heaviest = max(heaviest, n.weight)
	}
	type walk struct {
		at, skip int
		credit   uint64
	}
	walks := make([]walk, len(class))
	for i, n := range class {
		h := hash(n.picked.Endpoint.hashKey())
		walks[i] = walk{at: int(h % maglevSize), skip: 1 + int(h>>32%(maglevSize-1))}
	}
	taken := make([]bool, maglevSize)
	for left := maglevSize; ; {
		for i := range walks {
			w := &walks[i]
			if w.credit += max(class[i].weight, 1); w.credit < heaviest {
				continue
			}
			w.credit -= heaviest
			for taken[w.at] {
				w.at = (w.at + w.skip) % maglevSize
			}
			taken[w.at], m.owners[w.at] = true, uint16(i)
			if left--; left == 0 {
				return m
			}
		}
	}
}

func (m *maglev) pick(time.Duration) int { return m.pickHash(rand.Uint64()) }

// pickHash returns the owner of a hash, or the next one along the table where that is loaded above the bound.
func (m *maglev) pickHash(h uint64) int {
	at := int(h % maglevSize)
	first := int(m.owners[at])
	if m.class[first].outstanding.Load() == 0 { // below any bound
		return first
	}
	places := loadDenominator * int64(len(m.class))
	room := (m.load.Load() + 1) * loadNumerator
	for range maglevSize {
		if i := int(m.owners[at]); m.class[i].outstanding.Load()*places < room {
			return i
		}
		if at++; at == maglevSize {
			at = 0
		}
	}
	return first
}

// hashKey is the endpoint as hashes see it: the same to all clients.
func (e *Endpoint) hashKey() string {
	return e.Instance + "\x00" + e.Target + "\x00" + strconv.Itoa(int(e.Port))
}

// hash is FNV-1a with the finish of SplitMix64, which spreads what FNV leaves alike in short keys. It is the same in
// every process, and no defence against chosen keys.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
