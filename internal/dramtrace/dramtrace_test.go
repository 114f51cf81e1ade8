package dramtrace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func readAll(src io.Reader) ([]Request, error) {
	r, err := New(src, "t")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []Request
	for {
		req, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, req)
	}
}

const sample = "0x1000000 WRITE 0\n# a comment\n\n  deadBEEF\tread 7\r\n0xFFFFFFFFFFFFFFFF Write 1125899906842624"

var sampled = []Request{{0x1000000, 0, true}, {0xdeadbeef, 7, false}, {1<<64 - 1, MaxClock, true}}

func pack(t *testing.T, packing string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch packing {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return text
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRequestsAreReadPlainAndCompressedInAnyPieces(t *testing.T) {
	for _, packing := range []string{"none", "gzip", "zstd"} {
		data := pack(t, packing, []byte(sample))
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(data), "a byte at a time": iotest.OneByteReader(bytes.NewReader(data))} {
			got, err := readAll(src)
			if err != nil || !slices.Equal(got, sampled) {
				t.Errorf("%s, %s: %v, %v", packing, name, got, err)
			}
		}
	}
}

func TestMistakesNameTheLineAndWhatIsExpected(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `t: no request in 0 lines: want lines such as "0x1000040 READ 7"`},
		{"# nothing\n\n", "t: no request in 2 lines"},
		{"0x10 READ 1\n0x20 READ\n", `t:2: "0x20 READ": want an address, READ or WRITE, and an arrival clock, as in "0x1000040 READ 7"`},
		{"0x10 READ 1 2\n", `t:1: "0x10 READ 1 2": want an address`},
		{"0x10 READ 1 2 3 4 5\n", "want an address"},
		{"READ 0x10 1\n", `t:1: "READ 0x10 1": the address is no hexadecimal number`},
		{"0x READ 1\n", "the address is no hexadecimal"},
		{"0x10000000000000000 READ 1\n", "at most 64 bits"},
		{"0x10 LOAD 1\n", `t:1: "0x10 LOAD 1": want READ or WRITE`},
		{"0x10 READ -1\n", "want an arrival clock, a decimal number of at most 2^50"},
		{"0x10 READ 1.5\n", "want an arrival clock"},
		{"0x10 READ 1125899906842625\n", "want an arrival clock"},
		{"0x10 READ 99999999999999999999999\n", "want an arrival clock"},
		{"\x7fELF\x01\x02\n", "binary data: want text, or text compressed by gzip or zstd"},
		{"\xfd7zXZ\x00", "t: compressed by xz: want text, gzip or zstd"},
		{"0x10 READ 1\n" + strings.Repeat("x", 5000), "t:2: \"" + strings.Repeat("x", 60) + `"...: the line has over 4096 bytes`},
		{strings.Repeat("x", 200_000), "t:1: "},
		{"\x1f\x8b\x00", "gzip data"},
	}
	for _, tt := range tests {
		_, err := readAll(strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestDamagedCompressionIsAnErrorBehindTheRequestsBeforeIt(t *testing.T) {
	text := []byte(strings.Repeat("0x10 READ 1\n", 50_000))
	for _, packing := range []string{"gzip", "zstd"} {
		data := pack(t, packing, text)
		got, err := readAll(bytes.NewReader(data[:len(data)-5]))
		if err == nil || !strings.Contains(err.Error(), packing+" data is") {
			t.Errorf("%s cut off: %d requests, %v", packing, len(got), err)
		}
	}
	broken := errors.New("disk on fire")
	got, err := readAll(io.MultiReader(strings.NewReader("0x10 READ 1\n"), iotest.ErrReader(broken)))
	if len(got) != 1 || !errors.Is(err, broken) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFilesAreOpenedByPathAndStdinByADash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.trc")
	if err := os.WriteFile(path, []byte(sample), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, stdin := range map[string]io.Reader{path: nil, "-": strings.NewReader(sample)} {
		r, err := Open(name, stdin)
		if err != nil {
			t.Fatal(err)
		}
		if req, err := r.Next(); err != nil || req != sampled[0] {
			t.Errorf("%s: %v, %v", name, req, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Next(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: after Close %v", name, err)
		}
	}
	if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), "is a directory, want a file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	r, err := New(strings.NewReader(strings.Repeat("0x1000040 READ 7\n", 20_000)), "t")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10_000, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// naive reads a line by the standard library.
func naive(line string) (Request, bool, error) {
	f := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' || c == '\r' })
	if len(f) == 0 || f[0][0] == '#' {
		return Request{}, false, nil
	}
	if len(f) != 3 {
		return Request{}, false, errors.New("fields")
	}
	digits := f[0]
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	if strings.ContainsAny(digits, "_+-") || len(strings.TrimLeft(digits, "0")) > 16 {
		return Request{}, false, errors.New("address")
	}
	addr, err := strconv.ParseUint("0"+strings.TrimLeft(digits, "0"), 16, 64)
	if err != nil {
		return Request{}, false, err
	}
	kind := strings.ToUpper(f[1])
	if kind != "READ" && kind != "WRITE" || len(kind) != len(f[1]) {
		return Request{}, false, errors.New("type")
	}
	clock, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil || clock > MaxClock || strings.ContainsAny(f[2], "_+") {
		return Request{}, false, errors.New("clock")
	}
	return Request{addr, int64(clock), kind == "WRITE"}, true, nil
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("0x10 READ 1\n0x20 WRIT 2\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00"))
	f.Add([]byte("0x10\x00 READ 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readAll(bytes.NewReader(data))
		if bytes.HasPrefix(data, []byte("\x1f\x8b")) || bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")) || err != nil && strings.Contains(err.Error(), "compressed by") {
			return
		}
		var want []Request
		bad := 0
		for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			req, ok, err := naive(line)
			if err != nil || len(line) > maxLine {
				bad = i + 1
				break
			}
			if ok {
				want = append(want, req)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("read %v, want %v (%v)", got, want, err)
		}
		switch {
		case bad > 0:
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("t:%d: ", bad)) {
				t.Fatalf("error %v, want one of line %d", err, bad)
			}
		case (err != nil) != (len(want) == 0):
			t.Fatalf("error %v of %d requests", err, len(want))
		}
	})
}

func BenchmarkNext(b *testing.B) {
	text := strings.Repeat("0x1000040 READ 123456\n", 10_000)
	b.ReportAllocs()
	n := 0
	for n < b.N {
		r, err := New(strings.NewReader(text), "t")
		if err != nil {
			b.Fatal(err)
		}
		for ; n < b.N; n++ {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
