package memtrace

import (
	"encoding/binary"
	"math/bits"
)

// The fast path: it takes lines as the tools write them, which lie whole in the buffer, and leaves all others to parse. Eight characters at a time are handled in one word, the first in its low byte.

// fastBytes is the length of the longest line that the fast path looks at, with its end; it may load any of them.
const fastBytes = 48

const (
	ones  = 0x0101010101010101
	lows  = 0x0f0f0f0f0f0f0f0f
	highs = 0xf0f0f0f0f0f0f0f0

	anyCase = 0x20 * ones // for hex8
)

// hex8 returns the value of eight hexadecimal digits. Letters are lower case; fold is 0, or anyCase to take both. The second result is 0 if all are digits.
func hex8(w, fold uint64) (v, bad uint64) {
	letter := w >> 6 & ones
	w |= letter << 5 & fold
	d := w&lows + letter*9
	// Back to characters, which must be the same: '0' + d, and 'a' - '0' - 10 = 39 more from 10 on.
	bad = (d + 0x30*ones + (d+6*ones)>>4&ones*39) ^ w | d&highs
	d = d * (1<<12 + 1) >> 8 & 0x00ff00ff00ff00ff
	d = d * (1<<24 + 1) >> 16 & 0x0000ffff0000ffff
	d = d * (1<<48 + 1) >> 32
	return d, bad
}

// lackeyHeads holds the first three characters of a record, and its Kind in the high byte, at the place (c0^c1)%32, which differs for all four.
var lackeyHeads = func() (t [32]uint32) {
	for kind, head := range []string{"I  ", " L ", " S ", " M "} {
		t[(head[0]^head[1])&31] = uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16 | uint32(kind)<<24
	}
	return t
}()

// fastLackey parses records until the batch is full, the buffer has less than fastBytes or a line is left to parse. It returns their number.
func (r *Reader) fastLackey(batch []Record) int {
	buf := r.buf[r.start:r.end]
	p, n := 0, 0
	for n < len(batch) && len(buf)-p >= fastBytes {
		l := (*[fastBytes]byte)(buf[p:])
		w := binary.LittleEndian.Uint32(l[:])
		head := lackeyHeads[(w^w>>8)&31]
		if (w^head)<<8 != 0 {
			break
		}
		addr, bad := hex8(binary.LittleEndian.Uint64(l[3:]), 0)
		if bad != 0 {
			break
		}
		rest := binary.LittleEndian.Uint64(l[11:])
		if size := uint32(rest>>8&0xff) - '0'; rest&0xff00ff == ','|'\n'<<16 && size-1 < 9 {
			batch[n] = Record{addr, size, Kind(head >> 24)}
			n++
			p += 14
			continue
		}
		at := 12 // of the size
		if byte(rest) != ',' {
			// The address has more digits: d of them in rest.
			x := rest ^ ','*ones
			d := bits.TrailingZeros64((x-ones)&^x&(0x80*ones)) >> 3
			if d == 8 {
				break
			}
			low, bad := hex8(align(rest, d), 0)
			if bad != 0 {
				break
			}
			addr = addr<<uint(4*d&31) | low
			at += d
			rest = binary.LittleEndian.Uint64(l[at-1&31:])
		}
		size := uint32(byte(rest>>8)) - '0'
		if size > 9 {
			break
		}
		end := rest >> 16
		at++
		if second := uint32(byte(end)) - '0'; second <= 9 {
			size = size*10 + second
			end >>= 8
			at++
		}
		switch {
		case byte(end) == '\n':
			at++
		case uint16(end) == '\r'|'\n'<<8:
			at += 2
		default:
			at = 0
		}
		if at == 0 || size == 0 {
			break
		}
		batch[n] = Record{addr, size, Kind(head >> 24)}
		n++
		p += at
	}
	r.start += p
	r.lines += uint64(n)
	return n
}

// dinLabels holds what dinLabel returns, but for the escape.
var dinLabels = func() (t [256]Kind) {
	for c := range t {
		t[c] = dinLabel(byte(c))
		if t[c] == escape {
			t[c] = noLabel
		}
	}
	return t
}()

// fastDin is fastLackey for din: one blank between fields, up to 16 digits of address with 0x or without, and no size or one of one or two digits.
func (r *Reader) fastDin(batch []Record) int {
	buf := r.buf[r.start:r.end]
	p, n := 0, 0
	for n < len(batch) && len(buf)-p >= fastBytes {
		l := (*[fastBytes]byte)(buf[p:])
		kind := dinLabels[l[0]]
		if kind == noLabel || l[1] != ' ' {
			break
		}
		at := 2
		if l[3] == 'x' && l[2] == '0' {
			at = 4
		}
		digits := binary.LittleEndian.Uint64(l[at:])
		d := digitsIn(digits)
		if d == 0 {
			break
		}
		addr, bad := hex8(align(digits, d), anyCase)
		at += d
		rest := binary.LittleEndian.Uint64(l[at&31:])
		if rest&0x50 != 0 { // more than eight digits
			d = digitsIn(rest)
			low, bad2 := hex8(align(rest, d), anyCase)
			addr = addr<<uint(4*d) | low
			bad |= bad2
			at += d
			rest = binary.LittleEndian.Uint64(l[at&31:])
		}
		size := uint32(defaultSize)
		switch {
		case byte(rest) == '\n':
			at++
		case rest&0xff00ff == ' '|'\n'<<16:
			size = uint32(hexDigit[byte(rest>>8)])
			if size > 15 {
				size = 0
			}
			at += 3
		default:
			var n int
			size, n = dinTail(rest)
			at += n
		}
		if bad != 0 || size == 0 || addr+uint64(size-1) < addr {
			break
		}
		batch[n] = Record{addr, size, kind}
		n++
		p += at
	}
	r.start += p
	r.lines += uint64(n)
	return n
}

// dinTail returns the size that follows an address, and the length of the rest of the line; the size 0 if this is nothing for the fast path.
func dinTail(rest uint64) (size uint32, length int) {
	size = defaultSize
	if byte(rest) == ' ' {
		size = uint32(hexDigit[byte(rest>>8)])
		if size > 15 {
			return 0, 0
		}
		rest >>= 16
		length = 2
		if second := uint32(hexDigit[byte(rest)]); second <= 15 {
			size = size<<4 | second
			rest >>= 8
			length = 3
		}
	}
	switch {
	case byte(rest) == '\n':
		return size, length + 1
	case uint16(rest) == '\r'|'\n'<<8:
		return size, length + 2
	}
	return 0, 0
}

// digitsIn returns the number of characters in w before the first that has neither of the bits 0x10 and 0x40, one of which is in each hexadecimal digit, and none in blanks and the ends of lines.
func digitsIn(w uint64) int {
	return bits.TrailingZeros64(^(w|w>>2)&(0x10*ones)) >> 3
}

// align moves the first d characters of w, 1 to 8, to its end and puts zeros before them.
func align(w uint64, d int) uint64 {
	n := uint(8*d - 8)
	return w<<((56-n)&63) | 0x30*ones>>8>>(n&63)
}
