package dram

// DataClocks returns how many clocks n bytes occupy the data bus, were there no bursts to fill: none on the bus of no width that the schedulers fixed and ideal may have.
func (c Config) DataClocks(n int) int64 {
	if c.Width == 0 {
		return 0
	}
	beat := 2 * int64(c.Width)
	return (int64(n) + beat - 1) / beat
}
