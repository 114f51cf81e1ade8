package isp

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func uyvy(width, height int) Image {
	return Image{Width: width, Height: height, BytesPerPixel: 2, Stride: (width*2 + 31) &^ 31}
}

// The expected settings were computed by hand from the equations in ispresizer.c.
func TestRatiosAreThoseOfTheDriver(t *testing.T) {
	for _, c := range []struct {
		width, height int
		out           Image
		want          string
	}{
		{854, 652, preview, "854x652 -> 864x656: ratio 251/256 by 253/256, uses 853x651 of the input"},
		{2582, 1964, preview, "2582x1964 -> 864x656: ratio 764/256 by 765/256, uses 2582x1964 of the input"},
		{864, 656, preview, "864x656 -> 864x656: ratio 254/256 by 255/256, uses 863x656 of the input"},
		// Four times up: 64/256 in both directions is the smallest ratio there is.
		{327, 244, uyvy(1280, 960), "327x244 -> 1280x960: ratio 64/256 by 64/256, uses 326x243 of the input"},
		// A quarter: the smallest output that 4 times down allows; the ratio is clamped and a few columns are left over.
		{2582, 1964, uyvy(644, 490), "2582x1964 -> 644x490: ratio 1024/256 by 1024/256, uses 2579x1963 of the input"},
		// Beyond half the height 7 taps, above it 4.
		{1286, 980, uyvy(640, 480), "1286x980 -> 640x480: ratio 512/256 by 520/256, uses 1285x980 of the input"},
		{1286, 980, uyvy(640, 489), "1286x980 -> 640x489: ratio 512/256 by 512/256, uses 1285x980 of the input"},
		// 4 taps give 513, 7 taps 509: the smaller ratio is taken, with the equations of 4 taps.
		{640, 418, uyvy(640, 208), "640x418 -> 640x208: ratio 253/256 by 509/256, uses 638x415 of the input"},
	} {
		r, err := NewResizer(defaultConfig(), c.width, c.height, c.out)
		if err != nil {
			t.Errorf("%dx%d: %v", c.width, c.height, err)
			continue
		}
		if got := r.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestInputLeftOverIsCutEvenly(t *testing.T) {
	r, err := NewResizer(defaultConfig(), 640, 418, uyvy(640, 208))
	if err != nil {
		t.Fatal(err)
	}
	if r.Left != 1 || r.Top != 1 {
		t.Errorf("the used input begins at %d,%d, want 1,1", r.Left, r.Top)
	}
}

func TestScalingBeyondTheResizerIsRefused(t *testing.T) {
	for _, c := range []struct {
		width, height int
		out           Image
		want          string
	}{
		{854, 652, uyvy(208, 480), "854 columns to 208: ratio out of range, want 212 to 3392 columns"},
		{854, 652, uyvy(640, 160), "652 lines to 160: ratio out of range, want 162 to 2596 lines"},
		{327, 244, uyvy(1286, 960), "327 columns to 1286: ratio out of range, want 80 to 1284"},
		{327, 244, uyvy(1280, 965), "244 lines to 965: ratio out of range, want 60 to 964"},
		{4096, 652, preview, "input 4096x652: want 32x32 to 4095x4095"},
		{31, 32, uyvy(32, 32), "input 31x32"},
		{1000, 1000, uyvy(3320, 1000), "output width 3320 over the limit of 3312 with 4 vertical taps"},
		{1000, 2100, uyvy(1656, 1000), "output width 1656 over the limit of 1650 with 7 vertical taps"},
		{640, 480, uyvy(644, 600), "output width 644, want a multiple of 8"},
		{640, 480, uyvy(641, 400), "output width 641, want a multiple of 2"},
		{640, 480, Image{Width: 640, Height: 480, BytesPerPixel: 2, Stride: 1279}, "stride 1279, want at least the 1280"},
		{640, 480, Image{Width: 640, Height: 480, BytesPerPixel: 2, Stride: 1290}, "stride 1290, want a multiple of 32"},
		{640, 480, Image{Width: 640, Height: 480, BytesPerPixel: 4, Stride: 2560}, "4 bytes per pixel"},
		{640, 480, uyvy(640, 1), "want at least 16x2"},
	} {
		_, err := NewResizer(defaultConfig(), c.width, c.height, c.out)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%dx%d to %dx%d: error %v, want %q", c.width, c.height, c.out.Width, c.out.Height, err, c.want)
		}
	}
}

func TestRatioIsTheLargestThatTheInputSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(32, 4095).Draw(t, "width"), rapid.IntRange(32, 4095).Draw(t, "height")
		ow := rapid.IntRange(max(16, (width+3)/4), min(width*4, 1648)).Draw(t, "ow") &^ 7
		oh := rapid.IntRange(max(2, (height+3)/4), min(height*4, 4095)).Draw(t, "oh")
		r, err := NewResizer(defaultConfig(), width, height, uyvy(ow, oh))
		if err != nil {
			return // at the very ends of the range
		}
		check := func(name string, in, used, out, ratio, taps4 int, need func(int) int) {
			if ratio < 64 || ratio > 1024 {
				t.Fatalf("%s: ratio %d", name, ratio)
			}
			if used > in || need(out-1) != used || need(0) < taps4 {
				t.Fatalf("%s: %d of %d used, first needs %d, last needs %d", name, used, in, need(0), need(out-1))
			}
			// The driver settles for less where 4 taps give more than 512 and 7 taps do not.
			settled := ((in-taps4)*256+239)/(out-1) > 512 && ratio <= 512
			if ratio < 1024 && !settled && needs(out-1, ratio+1, taps4) <= in {
				t.Fatalf("%s: ratio %d would do as well", name, ratio+1)
			}
			for i := 1; i < out; i++ {
				if need(i) < need(i-1) {
					t.Fatalf("%s: output %d needs less than the one before", name, i)
				}
				if i >= LinePorts && need(i) == need(i-LinePorts) {
					t.Fatalf("%s: more than %d outputs at one input", name, LinePorts)
				}
			}
		}
		check("columns", width, r.UsedWidth, ow, r.HorzRatio, 7, r.Columns)
		check("lines", height, r.UsedHeight, oh, r.VertRatio, 4, r.Lines)
	})
}

func TestRatesOverTheClockAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *Sensor, *Image)
		want   string
	}{
		{"reference", func(*Config, *Sensor, *Image) {}, ""},
		{"horizontal at the limit", func(c *Config, s *Sensor, o *Image) { c.ProcessingClock = 81_031_654 }, ""},
		{"horizontal over it", func(c *Config, s *Sensor, o *Image) { c.ProcessingClock = 81_031_652 }, "horizontal stage"},
		{"horizontal over 100 MHz", func(c *Config, s *Sensor, o *Image) { c.ProcessingClock = 200_000_000; *o = uyvy(1072, 656) }, "horizontal stage"},
		{"vertical", func(c *Config, s *Sensor, o *Image) { *o = uyvy(864, 2400) }, "vertical stage"},
		{"CCDC", func(c *Config, s *Sensor, o *Image) { s.PixelClock = 84_000_000; *o = uyvy(432, 328) }, "CCDC"},
		{"preview engine", func(c *Config, s *Sensor, o *Image) { c.MaxPreviewWidth = 853 }, "preview engine: output width 854 over the limit of 853"},
		{"output width", func(c *Config, s *Sensor, o *Image) { c.MaxOutputWidth = 863 }, "over the limit of 863"},
	} {
		cfg, s, o := defaultConfig(), et8ek8, preview
		c.change(&cfg, &s, &o)
		_, err := onTheFly(cfg, Path{Sensor: s, Resized: o})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestImpossibleSettingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.ProcessingClock = 0 }, "isp.processing_clock"},
		{func(c *Config) { c.DataUnit = 0 }, "isp.data_unit"},
		{func(c *Config) { c.PortBytes = 1000 }, "isp.port_bytes"},
		{func(c *Config) { c.PortBytes = 128 }, "isp.port_bytes"},
		{func(c *Config) { c.Outstanding = 0 }, "isp.outstanding"},
		{func(c *Config) { c.Outstanding = 17 }, "isp.outstanding"},
		{func(c *Config) { c.CropColumns = 9 }, "isp.crop_columns"},
		{func(c *Config) { c.CropLines = -2 }, "isp.crop_lines"},
		{func(c *Config) { c.MaxPreviewWidth = 0 }, "isp.max_preview_width"},
		{func(c *Config) { c.MaxOutputWidth = 0 }, "isp.max_output_width:"},
		{func(c *Config) { c.MaxOutputWidth7Tap = 0 }, "isp.max_output_width_7tap"},
	} {
		cfg := defaultConfig()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", cfg, err, c.want)
		}
	}
}
