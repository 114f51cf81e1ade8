package scenario

import (
	"socsim/internal/conf"
	"socsim/internal/strategy"
	"socsim/soc/dmaapi"
)

// Describe describes the language: every key of a scenario file, with its defaults; and of some texts, which are checked after decoding, what they may be.
func Describe() conf.Setting {
	s := conf.Describe(defaults())
	enum := func(at *conf.Setting, values []string) { at.Kind, at.Values = conf.Enum, values }
	enum(s.Sub("apiVersion"), []string{APIVersion})
	enum(s.Sub("theme"), Themes())
	enum(s.Sub("soc").Sub("coherence"), dmaapi.ProfileNames())
	s.Sub("strategy").Values = strategy.Names()
	s.Sub("expect").Item.What = "METRIC OP VALUE, such as frames.dropped == 0"
	s.Sub("expect").Item.Pattern = `^[^ \t<>=!]+\s*(==|!=|<=|>=|<|>)\s*[0-9.].*$`
	s.Fields = append(s.Fields, conf.ComposedSettings()...)
	return s
}
