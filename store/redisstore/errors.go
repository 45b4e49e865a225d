package redisstore

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

var (
	errNoEpoch   = errors.New("redis has another epoch")
	errNotMaster = errors.New("redis is a replica")
	errBusy      = errors.New("too many calls are under way")
	errFormat    = errors.New("the data has a format of another version")
)

// fromRedis reports whether err is an answer of Redis, be it an error, rather than a failure to get one.
func fromRedis(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
