package isp

// unit is one data unit of a line. Its counts are pixel clocks (of a sensor) or pixels (of an image in memory) from the start of the input line.
type unit struct {
	first  int64 // when its first byte has been produced, or is needed
	last   int64 // when its last byte has been produced, or used up
	offset int32 // in the line, bytes
	bytes  int32
}

// line is a line of data: the count at which the input line that it is made from starts, from the start of the frame, and its offset in the buffer in bytes.
type line struct {
	base   int64
	offset int64
}

// raster is what passes a port in a frame: the data units of each line, which are the same for every line, and the lines. It costs 24 bytes a data unit of a line and 16 bytes a line.
type raster struct {
	units []unit
	lines []line
}

// total returns the number of data units of a frame.
func (r *raster) total() int { return len(r.units) * len(r.lines) }

// end returns the count at which the last byte of a frame has been produced.
func (r *raster) end() int64 {
	return r.lines[len(r.lines)-1].base + r.units[len(r.units)-1].last
}

// cut cuts a line into data units of a size; first and last give the counts at which a byte is produced or needed, and produced or used up.
func cut(size, bytes int, first, last func(at int) int64) []unit {
	out := make([]unit, 0, (bytes+size-1)/size)
	for at := 0; at < bytes; at += size {
		n := min(size, bytes-at)
		out = append(out, unit{first: first(at), last: last(at + n - 1), offset: int32(at), bytes: int32(n)})
	}
	return out
}

// plain returns the raster of an image of which each pixel is produced with the pixel of the input, lineTotal counts a line, at the same place right of and below a margin.
func plain(size int, m Image, left, top, lineTotal int) raster {
	produced := func(at int) int64 { return int64(left + at/m.BytesPerPixel + 1) }
	r := raster{units: cut(size, m.Width*m.BytesPerPixel, produced, produced), lines: make([]line, m.Height)}
	for k := range r.lines {
		r.lines[k] = line{base: int64(top+k) * int64(lineTotal), offset: int64(k) * int64(m.Stride)}
	}
	return r
}

// source returns the raster of an image that is read pixel after pixel, without blanking: a data unit is needed from before its first pixel until after its last.
func source(size int, m Image) raster {
	r := plain(size, m, 0, 0, m.Width)
	for i := range r.units {
		r.units[i].first--
	}
	return r
}

// resized returns the rasters of the resizer's line ports, as many as the ratio uses: output lines that fall on one input line use ports 1 to 4 side by side, otherwise port 1 carries them
// all. left and top is where the resizer's input lies in the lines of lineTotal counts. Ratios of 64 and more put at most four lines on one input line.
func resized(size int, m Image, z Resizer, left, top, lineTotal int) []raster {
	produced := func(at int) int64 { return int64(left + z.Left + z.Columns(at/m.BytesPerPixel)) }
	units := cut(size, m.Width*m.BytesPerPixel, produced, produced)
	var out []raster
	port := 0
	for k := range m.Height {
		if port++; k == 0 || z.Lines(k) != z.Lines(k-1) {
			port = 0
		}
		if port == len(out) {
			out = append(out, raster{units: units})
		}
		base := int64(top+z.Top+z.Lines(k)-1) * int64(lineTotal)
		out[port].lines = append(out[port].lines, line{base: base, offset: int64(k) * int64(m.Stride)})
	}
	return out
}

// spread returns the raster of n bytes that are produced, or needed, evenly over the active pixels of a frame: byte b is needed with pixel b*P/n of P, and has been produced when (b+1)*P/n
// pixels, rounded up, have been sent.
func spread(size, n int, s Sensor, write bool) raster {
	pixels := int64(s.Width) * int64(s.Height)
	begin := func(at int) int64 {
		q := int64(at) * pixels / int64(n)
		return q/int64(s.Width)*int64(s.LineTotal) + q%int64(s.Width)
	}
	produced := func(at int) int64 {
		q := (int64(at+1)*pixels - 1) / int64(n) // the last pixel that it takes
		return q/int64(s.Width)*int64(s.LineTotal) + q%int64(s.Width) + 1
	}
	if write {
		return raster{units: cut(size, n, produced, produced), lines: make([]line, 1)}
	}
	return raster{units: cut(size, n, begin, produced), lines: make([]line, 1)}
}
