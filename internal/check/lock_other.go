//go:build !unix

package check

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// lockFolder keeps others from the baselines of a folder, by a file of the temporary folder; it waits for them. Readers exclude each other too.
func lockFolder(dir string, _ bool, _ <-chan struct{}) (unlock func(), err error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	name := fmt.Sprintf("socsim-check-%x.lock", sha256.Sum256([]byte(path)))
	unlock, err = lockedfile.MutexAt(filepath.Join(os.TempDir(), name)).Lock()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return unlock, nil
}
