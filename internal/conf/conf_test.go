package conf

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// size is a quantity with a unit, as the simulator's own.
type size int64

func (s size) MarshalText() ([]byte, error) {
	if s >= 1024 && s%1024 == 0 {
		return []byte(strconv.FormatInt(int64(s/1024), 10) + "KiB"), nil
	}
	return []byte(strconv.FormatInt(int64(s), 10) + "B"), nil
}

func (s *size) UnmarshalText(text []byte) error {
	digits, scale := strings.TrimSuffix(string(text), "B"), int64(1)
	if k, ok := strings.CutSuffix(string(text), "KiB"); ok {
		digits, scale = k, 1024
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if digits == string(text) || err != nil {
		return fmt.Errorf("%q is no size: write 64KiB or 9600B", text)
	}
	*s = size(n * scale)
	return nil
}

// ppm is a fraction that reads "25%" or "0.25".
type ppm int64

func (p ppm) MarshalText() ([]byte, error) {
	return []byte(fmt.Sprintf("0.%06d", int64(p))), nil
}

func (p *ppm) UnmarshalText(text []byte) error {
	if d, ok := strings.CutSuffix(string(text), "%"); ok {
		n, err := strconv.Atoi(d)
		*p = ppm(n * 10_000)
		return err
	}
	d, ok := strings.CutPrefix(string(text), "0.")
	n, err := strconv.Atoi((d + "000000")[:max(6, min(6, len(d)))])
	if !ok || err != nil || len(d) > 6 {
		return errors.New("expected a fraction: write 25% or 0.25")
	}
	*p = ppm(n)
	return nil
}

type policy string

func (policy) Values() []string { return []string{"lru", "fifo", "random"} }

type cache struct {
	Preset      string `conf:"preset"`
	Size        size   `conf:"size" doc:"Capacity."`
	Ways        int    `conf:"ways"`
	Replacement policy `conf:"replacement"`
	Banks       []int  `conf:"banks"`
}

type port struct {
	Name  string `conf:"name,key"`
	Width int    `conf:"width"`
	Depth int    `conf:"depth"`
}

type range_ struct {
	From uint8 `conf:"from"`
	To   uint8 `conf:"to"`
}

type soc struct {
	Preset  string   `conf:"preset"`
	Title   string   `conf:"title"`
	Clock   size     `conf:"clock"`
	L2      cache    `conf:"l2,preset=cache"`
	Ports   []port   `conf:"ports,map"`
	Masters []port   `conf:"masters"`
	Ranges  []range_ `conf:"ranges"`
	GPU     *cache   `conf:"gpu,preset=cache"`
}

type run struct {
	Duration size `conf:"duration,required" doc:"Simulated time."`
	Seed     int  `conf:"seed"`
}

type common struct {
	Version string `conf:"apiVersion"`
	Name    string `conf:"name"`
}

type access struct {
	Fraction ppm  `conf:"fraction"`
	Lines    *int `conf:"lines"`
}

type stage struct {
	Name  string  `conf:"name"`
	Every int     `conf:"every"`
	Read  *access `conf:"read"`
	Cache *cache  `conf:"cache,preset=cache"`
	Text  string  `conf:"text"`
}

func (s *stage) SetDefaults() { s.Every = 1 }

type buffer struct {
	Name   string   `conf:"name,key"`
	Count  int      `conf:"count"`
	Cached bool     `conf:"cached"`
	Tags   []string `conf:"tags"`
}

type scenario struct {
	common  `conf:",inline"`
	SoC     soc      `conf:"soc,preset=soc"`
	Run     run      `conf:"run"`
	Buffers []buffer `conf:"buffers,map"`
	Stages  []stage  `conf:"stages"`
	_       string   // unexported fields take no part
	Derived int      `conf:"-"`
}

// library is Presets of fixed documents, keyed "namespace/name".
type library map[string]string

func (l library) Preset(namespace, name string) ([]byte, bool) {
	text, ok := l[namespace+"/"+name]
	return []byte(text), ok
}

func (l library) Names(namespace string) []string {
	var names []string
	for key := range l {
		if name, ok := strings.CutPrefix(key, namespace+"/"); ok {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

var chips = library{
	"soc/omap3430": `
title: "OMAP3430 # not a comment"  # source: data sheet
clock: 600B     # source: TRM
l2: l2-256
ports:
  camera: {width: 8, depth: 4}   # source: TRM, table 1
  display:
    width: 4      # source: TRM, table 2
    # estimated: fits
    # the measured drain
    depth: 16
masters:
  - {name: cpu, width: 8, depth: 1}   # source: TRM
  - name: gpu
    width: 8      # source: TRM
    depth: 6      # estimated: like its neighbour
ranges:
  - {from: 1, to: 2}  # source: TRM
`,
	"soc/dm3730": `
base: omap3430
clock: 1000B      # source: data sheet
l2: {ways: 4}     # estimated: guess
ports:
  display: {depth: 32}   # source: errata
`,
	"soc/am335x": `
title: AM335x     # source: data sheet
clock: 720B       # source: data sheet
l2: {preset: l2-256, size: 128KiB}   # source: TRM
`,
	"cache/l2-256": `
size: 256KiB      # source: TRM
ways: 8           # source: TRM
replacement: random  # estimated: no source says
banks: [1, 2, 3, 4]  # estimated: banks
`,
	"cache/l2-512": `
base: l2-256
size: 512KiB      # source: TRM
`,
	"cache/loop":         "base: loop-b\nsize: 1KiB # source: x\n",
	"cache/loop-b":       "base: loop\nways: 2 # source: x\n",
	"cache/bare":         "size: 4KiB\nways: 2 # because\nbanks:\n  - 1\n",
	"cache/misspelt":     "size: 4 # source: x\nwayz: 2 # source: x\n",
	"cache/list":         "- a\n",
	"cache/broken":       "size: {1KiB\n",
	"cache/presetpreset": "preset: l2-256\nsize: 4KiB # source: x\n",
}

func set(paths ...string) []Override {
	var list []Override
	for _, p := range paths {
		path, value, _ := strings.Cut(p, "=")
		list = append(list, Override{Path: path, Value: value})
	}
	return list
}

func decode(text string, overrides ...string) (scenario, *Document, error) {
	var s scenario
	doc, err := Decode(Source{Name: "scenario.yaml", Data: []byte(text)}, set(overrides...), chips, &s)
	return s, doc, err
}
