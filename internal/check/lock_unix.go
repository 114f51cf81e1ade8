//go:build unix

package check

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockFolder keeps others from reading (shared) or writing (exclusive) the baselines of a folder; it waits for them. The folder itself is locked, so that no file lies about, and the kernel gives the
// lock back when a process is killed. Where the file system knows no locks, a reader goes on without and a writer fails.
func lockFolder(dir string, exclusive bool, cancelled <-chan struct{}) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			select {
			case <-cancelled:
				f.Close()
				return nil, fmt.Errorf("waiting for another check that writes the baselines of %s: %w", dir, errInterrupted)
			case <-time.After(20 * time.Millisecond):
			}
		case !exclusive:
			return func() { f.Close() }, nil
		default:
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
	}
}
