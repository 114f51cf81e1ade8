package sim

// fifo is a growing first-in first-out queue in a circular buffer: O(1), no allocation while it does not grow.
type fifo[T any] struct {
	buf  []T // the length is 0 or a power of two
	head int
	n    int
}

func (f *fifo[T]) push(v T) {
	if f.n == len(f.buf) {
		buf := make([]T, max(4, 2*f.n))
		for i := range f.n {
			buf[i] = *f.at(i)
		}
		f.buf, f.head = buf, 0
	}
	f.n++
	*f.at(f.n - 1) = v
}

// pop takes the first element. There must be one.
func (f *fifo[T]) pop() T {
	p := f.at(0)
	v := *p
	var zero T
	*p = zero
	f.head = (f.head + 1) & (len(f.buf) - 1)
	f.n--
	return v
}

// at returns the i-th element.
func (f *fifo[T]) at(i int) *T { return &f.buf[(f.head+i)&(len(f.buf)-1)] }

// remove takes the i-th element out: O(n).
func (f *fifo[T]) remove(i int) T {
	v := *f.at(i)
	for ; i > 0; i-- {
		*f.at(i) = *f.at(i - 1)
	}
	f.pop()
	return v
}
