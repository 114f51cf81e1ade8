package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream returns the random stream of a component: a PCG generator (PCG-DXSM of math/rand/v2) whose two seed words are the
// first two little-endian 64 bit words of the SHA-256 of name, the first one exclusive-ored with seed. Each component draws
// from its own stream, so that adding one does not change another's draws. The same seed and name give the same stream on
// every platform.
func Stream(seed uint64, name string) *rand.Rand {
	h := sha256.Sum256([]byte(name))
	return rand.New(rand.NewPCG(seed^binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])))
}
