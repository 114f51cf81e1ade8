package memtrace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const oracles = "../replay/testdata/oracles/"

// unzstd returns the text of a trace of the oracles.
func unzstd(tb testing.TB, trace string) []byte {
	tb.Helper()
	packed, err := os.ReadFile(oracles + trace + ".lackey.zst")
	if err != nil {
		tb.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(packed, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func zstdOf(tb testing.TB, text []byte, options ...zstd.EOption) []byte {
	tb.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, options...)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := z.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// read returns the records of a trace and what ended it; nil at its end.
func read(tb testing.TB, src io.Reader, batch int) ([]Record, string, error) {
	tb.Helper()
	r, err := New(src, "f")
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	var all []Record
	buf := make([]Record, batch)
	for {
		n, err := r.Next(buf)
		all = append(all, buf[:n]...)
		if n == 0 {
			if _, again := r.Next(buf); again != err {
				tb.Errorf("ended with %v, and then with %v", err, again)
			}
		} else if err != nil {
			tb.Errorf("%d records together with %v", n, err)
		}
		switch err {
		case nil:
			if n == 0 {
				tb.Fatal("neither records nor an error")
			}
		case io.EOF:
			return all, r.Format(), nil
		default:
			return all, r.Format(), err
		}
	}
}

// readAll returns the records of a good trace.
func readAll(tb testing.TB, src io.Reader) []Record {
	tb.Helper()
	all, _, err := read(tb, src, 1000)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// appendLackey prints a record as lackey does.
func appendLackey(text []byte, rec Record) []byte {
	return fmt.Appendf(text, "%s%08x,%d\n", [...]string{"I  ", " L ", " S ", " M "}[rec.Kind], rec.Addr, rec.Size)
}

func TestRecordedTracesAreReadAsTheyWerePrinted(t *testing.T) {
	for _, c := range []struct {
		trace  string
		counts [5]int
		sha256 string
	}{
		{"gzip1", [5]int{1314867, 299819, 217735, 12842, 0}, "87d1da2437b4c70ec152253759cc5b2ba73d2b5758dbba836006912a9d96104e"},
		{"djpeg", [5]int{586376, 119610, 52823, 2252, 0}, "0535d0defafd12b441dbff28082d671c4d8e0c3b16371c171965e37924bdb161"},
		{"sqlite", [5]int{3462093, 959534, 432252, 19061, 0}, "c7080b649bb01c2fe288588b43812b4a820c7107eeb3e2e9f7a95f9b9198cbbe"},
		{"sed", [5]int{1405685, 395551, 204269, 7589, 0}, "868158e65e5bc759703417f8ff3473ea6f60cf21e5676e8f5ee438914fed234e"},
		{"yuv", [5]int{2094650, 118195, 59302, 25, 0}, "a350efb1ca35de4b9fb3e2b0550e805a7cd9b0a0e7e87905649ea530d0963d4b"},
		{"blit", [5]int{582930, 84439, 151700, 25, 0}, "ca9d110c39d288b3ea7226bab5137f54a974d9b42cbda2ff5bde1d3f72ba24c1"},
	} {
		t.Run(c.trace, func(t *testing.T) {
			t.Parallel()
			r, err := Open(oracles+c.trace+".lackey.zst", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Format() != "lackey" {
				t.Errorf("format %s, want lackey", r.Format())
			}
			var counts [5]int
			sum := sha256.New()
			batch := make([]Record, 4096)
			var text []byte
			for {
				n, err := r.Next(batch)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				text = text[:0]
				for _, rec := range batch[:n] {
					counts[rec.Kind]++
					text = appendLackey(text, rec)
				}
				sum.Write(text)
			}
			if counts != c.counts {
				t.Errorf("records by kind %v, want %v", counts, c.counts)
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != c.sha256 {
				t.Errorf("sha256 of the records as text %s, want %s", got, c.sha256)
			}
		})
	}
}

// The traces of testdata.
var small = []struct {
	file, format string
	want         []Record
}{
	{"testdata/valgrind.txt", "lackey", []Record{
		{0x4001000, 3, Instr},
		{0x4001003, 5, Instr},
		{0x1ffeffe7e8, 8, Load},
		{0x1ffeffe7e0, 8, Store},
		{0x421e2a0, 4, Modify},
		{0x4001008, 15, Instr},
		{0x421e2c0, 32, Store},
		{0x12345678901234, 2, Load},
		{0xffffffffff600000, 8, Load},
	}},
	{"testdata/dos.din", "din", []Record{
		{0x408ed4, 4, Instr},
		{0x7f001000, 8, Load},
		{0x7f001004, 16, Store},
		{0, 1, Flush},
		{0x80000000, 4, Load},
		{0xffffffff, 1, Store},
		{0x1000, 2, Instr},
		{0x2000, 4, Instr},
		{0xfffffffffffffffc, 4, Store},
		{0xabcdef, 4096, Load},
		{0x1000, 4, Store},
	}},
}

func TestSmallTraces(t *testing.T) {
	for _, c := range small {
		text, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct {
			name string
			src  io.Reader
		}{
			{"whole", bytes.NewReader(text)},
			{"a byte at a time", iotest.OneByteReader(bytes.NewReader(text))},
			{"half of what is asked", iotest.HalfReader(bytes.NewReader(text))},
			{"the end with the last data", iotest.DataErrReader(bytes.NewReader(text))},
			{"gzip", bytes.NewReader(gzipped(t, text))},
			{"zstd", bytes.NewReader(zstdOf(t, text))},
			{"zstd, a byte at a time", iotest.OneByteReader(bytes.NewReader(zstdOf(t, text)))},
			{"followed by blank lines", io.MultiReader(bytes.NewReader(text), strings.NewReader("\n"+strings.Repeat("\n", fastBytes)))},
		} {
			t.Run(filepath.Base(c.file)+"/"+s.name, func(t *testing.T) {
				got, format, err := read(t, s.src, 4)
				if err != nil {
					t.Fatal(err)
				}
				if format != c.format {
					t.Errorf("format %s, want %s", format, c.format)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("records (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestTinyChunksGiveTheSameRecords(t *testing.T) {
	text := unzstd(t, "djpeg")[:4<<20+7]
	text = text[:bytes.LastIndexByte(text, '\n')] // the last line has no end
	want := readAll(t, bytes.NewReader(text))
	for _, c := range []struct {
		name string
		src  io.Reader
	}{
		{"a byte", iotest.OneByteReader(bytes.NewReader(text))},
		{"half", iotest.HalfReader(bytes.NewReader(text))},
		{"half, and the end with the last data", iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(text)))},
		{"41 bytes", &chunks{src: bytes.NewReader(text), size: 41}},
		{"a prime", &chunks{src: bytes.NewReader(text), size: 65521}},
		{"nothing now and then", &chunks{src: bytes.NewReader(text), size: 5000, empty: 99}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, c.src)
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
				}
			}
		})
	}
}

// chunks gives a number of bytes at a time, after a number of times nothing.
type chunks struct {
	src         io.Reader
	size, empty int
	waited      int
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.waited < c.empty {
		c.waited++
		return 0, nil
	}
	c.waited = 0
	return c.src.Read(p[:min(len(p), c.size)])
}

func TestABadLineIsNamedAfterTheRecordsBeforeIt(t *testing.T) {
	const lackeyBegin, dinBegin = " L 1000,4\n==12== message\n S 2000,4\r\n", "# begin\n0 1000 4\n1 2000\n"
	for _, c := range []struct{ name, begin, line, want string }{
		{"an unknown letter", lackeyBegin, "X 1234,4", `f:4: "X 1234,4": ` + wantLackey},
		{"lower case", lackeyBegin, " l 1234,4", `f:4: " l 1234,4": ` + wantLackey},
		{"no size", lackeyBegin, " L 1234", `f:4: " L 1234": ` + wantLackey},
		{"an empty size", lackeyBegin, " L 1234,", `f:4: " L 1234,": ` + wantLackey},
		{"no address", lackeyBegin, " L ,4", `f:4: " L ,4": ` + wantLackey},
		{"the letter alone", lackeyBegin, " L", `f:4: " L": ` + wantLackey},
		{"a prefix in lackey", lackeyBegin, " L 0x1234,4", `f:4: " L 0x1234,4": ` + wantLackey},
		{"an address that is no number", lackeyBegin, " L 0000123g,4", `f:4: " L 0000123g,4": ` + wantLackey},
		{"a long address that is no number", lackeyBegin, " L 1fffffff0g,4", `f:4: " L 1fffffff0g,4": ` + wantLackey},
		{"a size in hexadecimal", lackeyBegin, " L 00001234,a", `f:4: " L 00001234,a": ` + wantLackey},
		{"a size of one wrong character", lackeyBegin, " L 00001234,:", `f:4: " L 00001234,:": ` + wantLackey},
		{"a size that ends wrong", lackeyBegin, " L 00001234,1/", `f:4: " L 00001234,1/": ` + wantLackey},
		{"blanks around the comma", lackeyBegin, " L 00001234, 4", `f:4: " L 00001234, 4": ` + wantLackey},
		{"a third field", lackeyBegin, " L 00001234,4 5", `f:4: " L 00001234,4 5": ` + wantLackey},
		{"a line of din in lackey", lackeyBegin, "0 1234 4", `f:4: "0 1234 4": ` + wantLackey},
		{"half a message", lackeyBegin, "==12 message", `f:4: "==12 message": ` + wantLackey},
		{"17 digits", lackeyBegin, " L 10000000000000000,4", `f:4: " L 10000000000000000,4": the address has more than 64 bits`},
		{"size 0", lackeyBegin, " L 00001234,0", `f:4: " L 00001234,0": the size is 0: want 1 to 4096 bytes`},
		{"size 00", lackeyBegin, " L 00001234,00", `f:4: " L 00001234,00": the size is 0: want 1 to 4096 bytes`},
		{"size 4097", lackeyBegin, " L 00001234,4097", `f:4: " L 00001234,4097": the size is over 4096 bytes`},
		{"a huge size", lackeyBegin, " L 00001234,18446744073709551617", `f:4: " L 00001234,18446744073709551617": the size is over 4096 bytes`},
		{"the end of the address space", lackeyBegin, " L ffffffffffffffff,2", `f:4: " L ffffffffffffffff,2": the access passes the end of the 64-bit address space`},
		{"binary data", lackeyBegin, "\x00\x01\xff", `f:4: "\x00\x01\xff": binary data: want text, or text compressed by gzip or zstd`},
		{"a return inside", lackeyBegin, " L 12\r34,4", `f:4: " L 12\r34,4": binary data: want text, or text compressed by gzip or zstd`},
		{
			"a long line", lackeyBegin, strings.Repeat("x", 100),
			`f:4: "` + strings.Repeat("x", 60) + `"...: ` + wantLackey,
		},
		{
			"a line of 4097 bytes", lackeyBegin, strings.Repeat("#", 4097),
			`f:4: "` + strings.Repeat("#", 60) + `"...: the line has over 4096 bytes: this is no trace of lackey or din`,
		},

		{"an unknown label", dinBegin, "5 1234 4", `f:4: "5 1234 4": ` + wantDin},
		{"two labels", dinBegin, "00 1234 4", `f:4: "00 1234 4": ` + wantDin},
		{"the escape label", dinBegin, "3 1234 4", `f:4: "3 1234 4": label 3 (escape) is an access of unknown kind: remove such lines, or give them the label 0, 1, 2 or 4`},
		{"a label alone", dinBegin, "0", `f:4: "0": ` + wantDin},
		{"a fourth field", dinBegin, "0 1234 4 5", `f:4: "0 1234 4 5": ` + wantDin},
		{"a comment inside a field", dinBegin, "0 1234 4#", `f:4: "0 1234 4#": ` + wantDin},
		{"an address that is no number", dinBegin, "0 12x4 4", `f:4: "0 12x4 4": ` + wantDin},
		{"a long address that is no number", dinBegin, "0 1fffffff0g 4", `f:4: "0 1fffffff0g 4": ` + wantDin},
		{"a prefix alone", dinBegin, "0 0x 4", `f:4: "0 0x 4": ` + wantDin},
		{"a size that is no number", dinBegin, "0 1234 g", `f:4: "0 1234 g": ` + wantDin},
		{"a size that is half a number", dinBegin, "0 1234 4g", `f:4: "0 1234 4g": ` + wantDin},
		{"a line of lackey in din", dinBegin, " L 1234,4", `f:4: " L 1234,4": ` + wantDin},
		{"a message in din", dinBegin, "==12== message", `f:4: "==12== message": ` + wantDin},
		{"17 digits in din", dinBegin, "0 0x10000000000000000", `f:4: "0 0x10000000000000000": the address has more than 64 bits`},
		{"size 0 in din", dinBegin, "0 1234 0", `f:4: "0 1234 0": the size is 0: want 1 to 4096 bytes`},
		{"size 1001 in din", dinBegin, "0 1234 1001", `f:4: "0 1234 1001": the size is over 4096 bytes`},
		{"a huge size in din", dinBegin, "0 1234 100000000000000001", `f:4: "0 1234 100000000000000001": the size is over 4096 bytes`},
		{"the end of the address space in din", dinBegin, "0 fffffffffffffffd", `f:4: "0 fffffffffffffffd": the access passes the end of the 64-bit address space`},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := []Record{{0x1000, 4, Load}, {0x2000, 4, Store}}
			for _, end := range []string{"", "\n", "\r\n", "\n 0 1234 4\n" + strings.Repeat("\n", fastBytes)} {
				got, _, err := read(t, strings.NewReader(c.begin+c.line+end), 3)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("records before the line (-want +got):\n%s", diff)
				}
				if err == nil || err.Error() != c.want {
					t.Errorf("error %v\nwant %s", err, c.want)
				}
			}
		})
	}
}

func TestAFileThatIsNoTrace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "f: no record in 0 lines: want a trace of lackey or din"},
		{"a comment alone", "# nothing\n", "f: no record in 1 line: want a trace of lackey or din"},
		{"messages alone", "==12== Lackey\n\n==12== \n", "f: no record in 3 lines: want a trace of lackey or din"},
		{"prose", "Once upon a time\n", `f:1: "Once upon a time": ` + wantEither},
		{"an unknown letter", "\nX 1234,4\n", `f:2: "X 1234,4": ` + wantLackey},
		{"a blank after the comma", "I  04001000, 3\n", `f:1: "I  04001000, 3": ` + wantLackey},
		{"the escape label", "3 1000 4\n", `f:1: "3 1000 4": ` + badEscape},
		{"bad size in the first line", "0 1000 0\n", `f:1: "0 1000 0": ` + badSize},
		{"xz", "\xfd7zXZ\x00\x00\x04", "f: compressed by xz: want text, gzip or zstd"},
		{"bzip2", "BZh91AY", "f: compressed by bzip2: want text, gzip or zstd"},
		{"zip", "PK\x03\x04\x14", "f: compressed by zip: want text, gzip or zstd"},
		{"a program", "\x7fELF\x02\x01\x01\x00\n", `f:1: "\x7fELF\x02\x01\x01\x00": ` + badBinary},
		{"empty in gzip", string(gzipped(t, nil)), "f: no record in 0 lines: want a trace of lackey or din"},
		{"compressed twice", string(gzipped(t, gzipped(t, []byte("0 1000\n")))), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(strings.NewReader(c.text), "f")
			if err == nil || c.want != "" && err.Error() != c.want {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

// endless gives a byte for ever, and counts.
type endless struct {
	c    byte
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.c
	}
	e.read += len(p)
	return len(p), nil
}

func TestALineWithoutEndIsNotReadToItsEnd(t *testing.T) {
	for _, c := range []byte{0, 'x', ' ', '#'} {
		e := &endless{c: c}
		_, err := New(e, "f")
		if err == nil || !strings.HasPrefix(err.Error(), "f:1: ") || !strings.Contains(err.Error(), "over 4096 bytes") {
			t.Errorf("a file of %q: error %v, want one that says f:1 and over 4096 bytes", c, err)
		}
		if e.read > 1<<20 {
			t.Errorf("a file of %q: read %d bytes, want the first ones alone", c, e.read)
		}
	}
}

func TestFilesOfSeveralParts(t *testing.T) {
	one, two := []byte("0 1000\n0 20"), []byte("00\n0 3000\n")
	want := []Record{{0x1000, 4, Load}, {0x2000, 4, Load}, {0x3000, 4, Load}}
	skip := []byte("\x53\x2a\x4d\x18\x03\x00\x00\x00abc")
	for _, c := range []struct {
		name   string
		packed [][]byte
	}{
		{"gzip members", [][]byte{gzipped(t, one), gzipped(t, nil), gzipped(t, two)}},
		{"zstd frames", [][]byte{zstdOf(t, one), zstdOf(t, two)}},
		{"zstd frames to skip", [][]byte{skip, zstdOf(t, one), skip, zstdOf(t, two), skip}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(want, readAll(t, bytes.NewReader(bytes.Join(c.packed, nil)))); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADamagedFileIsNamedAfterTheRecordsBeforeIt(t *testing.T) {
	text := unzstd(t, "djpeg")[:2<<20]
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	all := readAll(t, bytes.NewReader(text))
	flipped := func(packed []byte, at int) []byte {
		packed = bytes.Clone(packed)
		packed[at] ^= 0x10
		return packed
	}
	gz, zs := gzipped(t, text), zstdOf(t, text, zstd.WithEncoderConcurrency(1))
	for _, c := range []struct {
		name     string
		packed   []byte
		is       error
		contains string
	}{
		{"gzip cut off in the middle", gz[:len(gz)/2], io.ErrUnexpectedEOF, "the gzip data is cut off"},
		{"gzip cut off before its sum", gz[:len(gz)-8], io.ErrUnexpectedEOF, "the gzip data is cut off"},
		{"gzip cut off in its head", gz[:5], io.ErrUnexpectedEOF, "f: at its beginning: the gzip data is cut off"},
		{"gzip with a wrong sum", flipped(gz, len(gz)-6), gzip.ErrChecksum, "the gzip data is damaged"},
		{"gzip followed by something else", append(bytes.Clone(gz), "garbage garbage"...), gzip.ErrHeader, "the gzip data is damaged"},
		{"zstd cut off in the middle", zs[:len(zs)/2], io.ErrUnexpectedEOF, "the zstd data is cut off"},
		{"zstd cut off before its sum", zs[:len(zs)-2], io.ErrUnexpectedEOF, "the zstd data is cut off"},
		{"zstd cut off in its head", zs[:5], io.ErrUnexpectedEOF, "f: at its beginning: the zstd data is cut off"},
		{"zstd with a wrong sum", flipped(zs, len(zs)-1), zstd.ErrCRCMismatch, "the zstd data is damaged"},
		{"zstd followed by something else", append(bytes.Clone(zs), "garbage garbage"...), zstd.ErrMagicMismatch, "the zstd data is damaged"},
		{"zstd with a window of 1 GiB", []byte("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00"), zstd.ErrWindowSizeExceeded, "f: at its beginning: the zstd window is larger than 128 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := read(t, bytes.NewReader(c.packed), 1000)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.contains) {
				t.Fatalf("error %v, want %v and one that says %q", err, c.is, c.contains)
			}
			if len(got) > len(all) {
				t.Fatalf("%d records, want at most %d", len(got), len(all))
			}
			for i, rec := range got {
				if rec != all[i] {
					t.Fatalf("record %d is %+v, want %+v", i, rec, all[i])
				}
			}
			if want := fmt.Sprintf("f: after %d lines: ", len(got)); len(got) > 0 && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want it to begin with %q", err, want)
			}
		})
	}
}

func TestAnErrorOfTheSourceIsKept(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, c := range []struct{ name, text string }{{"at once", ""}, {"after the first lines", "0 1000\n0 2000\n0 30"}} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := read(t, io.MultiReader(strings.NewReader(c.text), iotest.ErrReader(broken)), 10)
			if !errors.Is(err, broken) {
				t.Errorf("error %v, want %v", err, broken)
			}
			if want := strings.Count(c.text, "\n"); len(got) != want {
				t.Errorf("%d records, want %d", len(got), want)
			}
		})
	}
}

func TestASourceThatGivesNothingIsGivenUp(t *testing.T) {
	_, _, err := read(t, io.MultiReader(strings.NewReader("0 1000 4\n"), &chunks{empty: 1 << 30}), 10)
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v, want %v", err, io.ErrNoProgress)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "trace.din")
	if err := os.WriteFile(file, []byte("0 1000\nwrong\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.din")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: error %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), dir+" is a directory") {
		t.Errorf("a directory: error %v, want one that says so", err)
	}
	if _, err := Open(empty, nil); err == nil || !strings.HasPrefix(err.Error(), empty+": no record") {
		t.Errorf("an empty file: error %v, want one that says so", err)
	}
	r, err := Open(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]Record, 10)
	if n, err := r.Next(nil); n != 0 || err != nil {
		t.Errorf("no room for a record: %d, %v, want 0 and no error", n, err)
	}
	if n, err := r.Next(batch); n != 1 || err != nil {
		t.Errorf("the records before the bad line: %d, %v, want 1 and no error", n, err)
	}
	if n, err := r.Next(batch); n != 0 || err == nil || !strings.HasPrefix(err.Error(), file+":2: ") {
		t.Errorf("the bad line: %d, %v, want an error that begins with %s:2", n, err, file)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
}

func TestStandardInput(t *testing.T) {
	r, err := Open("-", bytes.NewReader(gzipped(t, []byte("I  04001000,3\nwrong\n"))))
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]Record, 1)
	if n, err := r.Next(batch); n != 1 || err != nil || batch[0] != (Record{0x4001000, 3, Instr}) {
		t.Errorf("read %d, %v, %+v", n, err, batch[0])
	}
	if _, err := r.Next(batch); err == nil || !strings.HasPrefix(err.Error(), "<stdin>:2: ") {
		t.Errorf("error %v, want one that begins with <stdin>:2", err)
	}
}

func TestAClosedReaderReadsNoMore(t *testing.T) {
	for _, text := range [][]byte{[]byte("0 1000\n0 2000\n"), zstdOf(t, []byte("0 1000\n0 2000\n"))} {
		r, err := New(bytes.NewReader(text), "f")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Next(make([]Record, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("read %d, %v, want 0 and %v", n, err, os.ErrClosed)
		}
	}
}

// repeat gives a text again and again, up to a number of bytes.
type repeat struct {
	text     []byte
	at, left int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.at == len(r.text) {
		r.at = 0
	}
	n := copy(p[:min(len(p), r.left)], r.text[r.at:])
	r.at += n
	r.left -= n
	return n, nil
}

// The bound is far below a byte for each of the millions of records.
func TestALongTraceTakesNoMemory(t *testing.T) {
	const size, bound = 64 << 20, 1 << 20
	lackey := []byte("I  04001000,3\n==1== message\n L 1ffeffe7e8,8\n\n S 0421e2c0,32\r\nSB 04001008\n M 0421e2a0,4\n L ffffffffff600000,8\n")
	din := []byte("2 408ed4\n# comment\n0 7f001000 8\r\n\n1\t0x7f001004\t10 # comment\nR FFFFFFFFFFFFFF00 100\n")
	packed := func(text []byte) []byte {
		return gzipped(t, bytes.Repeat(text, 4096))
	}
	for _, c := range []struct {
		name string
		src  io.Reader
	}{
		{"lackey", &repeat{text: lackey, left: size / len(lackey) * len(lackey)}},
		{"din", &repeat{text: din, left: size / len(din) * len(din)}},
		{"gzip", &repeat{text: packed(lackey), left: len(packed(lackey)) * (size / len(lackey) / 4096)}},
		{"zstd", &repeat{text: zstdOf(t, bytes.Repeat(din, 1<<16)), left: len(zstdOf(t, bytes.Repeat(din, 1<<16))) * (size / len(din) >> 16)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := New(c.src, "f")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			batch := make([]Record, 4096)
			for range 100 { // the decompressors have their buffers then
				if _, err := r.Next(batch); err != nil {
					t.Fatal(err)
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			records := 0
			for {
				n, err := r.Next(batch)
				records += n
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > bound || records < 1<<20 {
				t.Errorf("%d records allocated %d bytes, want at most %d", records, got, bound)
			}
			if r.src.Packing() == "" && after.Mallocs-before.Mallocs > 100 {
				t.Errorf("%d records made %d allocations", records, after.Mallocs-before.Mallocs)
			}
		})
	}
}

func TestHex8KnowsItsDigits(t *testing.T) {
	const digits = "0123456789abcdef"
	for fold, upper := range map[uint64]bool{0: false, anyCase: true} {
		for place := range 8 {
			for c := range 256 {
				text := []byte("09afa0f9")
				text[place] = byte(c)
				var w uint64
				for i, c := range text {
					w |= uint64(c) << (8 * i)
				}
				folded := string(text)
				if upper && c < 0x80 {
					folded = strings.ToLower(folded)
				}
				v, bad := hex8(w, fold)
				isDigit := strings.IndexByte(digits, folded[place]) >= 0
				if isDigit != (bad == 0) {
					t.Fatalf("%q, upper case %v: bad %#x, but a digit: %v", text, upper, bad, isDigit)
				}
				if want, _ := strconv.ParseUint(folded, 16, 64); isDigit && v != want {
					t.Fatalf("%q is %#x, want %#x", text, v, want)
				}
			}
		}
	}
}

func TestTheFastPathTakesWhatToolsWrite(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		fast  func(r *Reader, batch []Record) int
	}{
		{"lackey", []string{
			"I  04001000,3", " L 1ffeffe7e8,8", " S 0421e2c0,32", " M 123456789,16", " L 123456789abcdef,99", " S fffffff0,1",
		}, (*Reader).fastLackey},
		{"din", []string{
			"2 408ed4", "0 0", "1 12345678", "0 7f001000 8", "1 7f001004 10", "2 0x1000 4", "w 0x80000000", "R 1FFEFFE7E8 20", "4 ffff0000ffff0000 ff",
		}, (*Reader).fastDin},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			r, err := New(strings.NewReader(strings.Join(c.lines, end)+end+strings.Repeat("\n", fastBytes)), "f")
			if err != nil {
				t.Fatal(err)
			}
			r.fill()
			if got := c.fast(r, make([]Record, 100)); got != len(c.lines) {
				t.Errorf("%s with %q: took %d lines, want all %d: it left %q", c.name, end, got, len(c.lines), c.lines[got])
			}
		}
	}
}
