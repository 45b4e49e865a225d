package memstore

import (
	"container/heap"
	"time"
)

// slot is the place of something in a queue. It is embedded in what is queued.
type slot struct {
	due   time.Duration // since the store's start
	index int           // in the queue
}

func (s *slot) place() *slot { return s }

// queue holds things by when they are due. Its elements know their place, so that one can be moved or taken out.
type queue[T interface{ place() *slot }] []T

// Len, Less, Swap, Push and Pop are for container/heap alone.

func (q queue[T]) Len() int { return len(q) }

func (q queue[T]) Less(i, j int) bool { return q[i].place().due < q[j].place().due }

func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place().index, q[j].place().index = i, j
}

// Push appends an element, which is a T.
func (q *queue[T]) Push(x any) {
	element := x.(T)
	element.place().index = len(*q)
	*q = append(*q, element)
}

// Pop removes the last element.
func (q *queue[T]) Pop() any {
	last := len(*q) - 1
	element := (*q)[last]
	clear((*q)[last:]) // or the array keeps it alive
	*q = (*q)[:last]
	return element
}

func (q *queue[T]) add(element T, due time.Duration) {
	element.place().due = due
	heap.Push(q, element)
}

func (q *queue[T]) move(element T, due time.Duration) {
	element.place().due = due
	heap.Fix(q, element.place().index)
}

func (q *queue[T]) remove(element T) { heap.Remove(q, element.place().index) }

// first returns when the first element is due, idle where there is none.
func (q queue[T]) first() time.Duration {
	if len(q) == 0 {
		return idle
	}
	return q[0].place().due
}
