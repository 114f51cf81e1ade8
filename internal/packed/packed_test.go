package packed

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// bounded is how much of a source the fuzzer reads: a few bytes may unpack to gigabytes, which a reader takes as a stream.
const bounded = 1 << 20

// FuzzUnpack checks that no file, packed or not, makes the reader panic, that errors name the file, and that what a packer wrote is read back.
func FuzzUnpack(f *testing.F) {
	for _, s := range []string{"", "I  04001000,3\n", "\x1f\x8b", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "\x28\xb5\x2f\xfd", "\x50\x2a\x4d\x18\x00\x00\x00\x00", "BZh9", "PK\x03\x04", "\xfd7zXZ\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := New(bytes.NewReader(data), "file"); err != nil {
			if !strings.HasPrefix(err.Error(), "file: ") {
				t.Errorf("%v does not name the file", err)
			}
		} else {
			got, err := io.ReadAll(io.LimitReader(s, bounded))
			if err != nil && !strings.HasPrefix(s.Broken(err, 0).Error(), "file: ") {
				t.Errorf("%v does not name the file", err)
			}
			if s.Packing() == "" && !bytes.Equal(got, data[:min(len(data), bounded)]) {
				t.Error("plain text is changed")
			}
			s.Close()
		}
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		z.Write(data)
		z.Close()
		readBack(t, zipped.Bytes(), "gzip", data)
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			t.Fatal(err)
		}
		readBack(t, w.EncodeAll(data, nil), "zstd", data)
		w.Close()
	})
}

func readBack(t *testing.T, file []byte, packing string, want []byte) {
	t.Helper()
	s, err := New(bytes.NewReader(file), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) || s.Packing() != packing {
		t.Errorf("packed by %s, %q comes back from %q as %q, %v", packing, want, s.Packing(), got, err)
	}
}
