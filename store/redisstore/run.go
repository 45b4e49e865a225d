package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// What the calls of a script that takes many have in common: meta and log, the epoch, the revision that was seen and one
// limit. Half of what a change costs Redis is to begin and end a script, and each rings a bell.
const (
	sharedKeys = 2
	sharedArgs = 3
	runMost    = 100 // some milliseconds of Redis' time at most
)

// run is one run of a script, for one change or for many.
type run struct {
	script *script
	keys   []string
	args   []any
	of     []*writing
	cmd    *redis.Cmd
}

// sentOnce is a command that a Cluster's client does not send again where it has had no answer, as it does by itself: the
// first may have taken effect, and the answer to the second would be that of another call.
type sentOnce struct{ *redis.Cmd }

// NoRetry reports whether Redis has not refused the command.
func (s sentOnce) NoRetry() bool { return !fromRedis(s.Err()) }

// put puts the run into a pipeline, to be sent once, as a command that takes the script so.
func (r *run) put(ctx context.Context, pipe redis.Pipeliner, command, script string) {
	args := make([]any, 0, 3+len(r.keys)+len(r.args))
	args = append(args, command, script, len(r.keys))
	for _, key := range r.keys {
		args = append(args, key)
	}
	r.cmd = redis.NewCmd(ctx, append(args, r.args...)...)
	r.cmd.SetFirstKeyPos(3)                // by which a Cluster's client finds the node
	_ = pipe.Process(ctx, sentOnce{r.cmd}) // it fails when the pipeline is executed
}

// gather makes as few runs of a batch as there can be.
func gather(batch []*writing) []*run {
	var runs []*run
	open := make(map[string]*run) // by epoch: the one that takes more
	for _, w := range batch {
		epoch, _ := w.args[0].(string)
		if r := open[epoch]; w.script.many && r != nil && len(r.of) < runMost {
			r.add(w)
			continue
		}
		r := &run{script: w.script, keys: w.keys, args: w.args, of: []*writing{w}}
		runs = append(runs, r)
		if w.script.many {
			open[epoch] = r
		}
	}
	return runs
}

// add puts a change into a run of the same script. The revision that the most recent of them has seen is held against
// what Redis has.
func (r *run) add(w *writing) {
	seen, _ := r.args[1].(uint64)
	also, _ := w.args[1].(uint64)
	r.args[1] = max(seen, also)
	r.keys = append(r.keys, w.keys[sharedKeys:]...)
	r.args = append(r.args, w.args[sharedArgs:]...)
	r.of = append(r.of, w)
}

// settle tells every change what came of it.
func (r *run) settle() {
	reply, err := r.cmd.Slice()
	if err == nil && r.script.many && text(reply, 0) == statusOK && len(reply) != 1+2*len(r.of) {
		err = fmt.Errorf("script %s: malformed reply", r.script.name)
	}
	for i, w := range r.of {
		w.reply = reply
		if err != nil || !r.script.many || text(reply, 0) != statusOK {
			w.settle(err)
			continue
		}
		w.settle(w.take(reply[1+2*i], number(reply, 2+2*i)))
	}
}

// take makes the reply of one change from its two elements: a revision and whether there was a lease, -1 for a service
// that is to be judged at the revision; or an error.
func (w *writing) take(revision any, lived int64) error {
	if err, failed := revision.(error); failed {
		return err
	}
	if lived < 0 {
		w.reply = []any{statusChanged, revision}
	} else {
		w.reply = []any{statusOK, revision, lived}
	}
	return nil
}
