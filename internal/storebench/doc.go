// Package storebench measures what the stores cost: memstore in this process, redisstore on a redis-server of its own.
//
// Without flags its test measures small stores for a moment, which shows that the measuring works. `make bench-store`
// gives it the sizes of the documentation, docs/performance.md, whose section it writes. With -quick it takes fewer and
// shorter samples; -instances names the sizes.
package storebench
