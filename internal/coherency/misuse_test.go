package coherency

import (
	"strings"
	"testing"

	"socsim/sim"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

func TestEveryMisuseSaysWhatShouldHaveBeenDone(t *testing.T) {
	for k := dmabuf.MisuseKind(0); !strings.HasPrefix(k.String(), "misuse("); k++ {
		if lifetimeRemedies[k] == "" {
			t.Errorf("%v has no remedy", k)
		}
	}
	for k := dmaapi.MisuseKind(0); !strings.HasPrefix(k.String(), "misuse("); k++ {
		if ownershipRemedies[k] == "" && k != dmaapi.SharedOwnership {
			t.Errorf("%v has no remedy", k)
		}
	}
}

func TestLifetimeErrorsCountAfterTheWarmUpAndFold(t *testing.T) {
	_, c, b := setup(t)
	m := dmabuf.Misuse{Kind: dmabuf.DoubleUnmap, Buffer: &dmabuf.Buffer{Buffer: b}, Device: "cam", At: 50, Since: 20, Text: "unmapping buf#3 for cam: not mapped"}
	c.Lifetime(m)
	c.EndWarmup()
	m.At = 60
	c.Lifetime(m)
	m.At = 70
	c.Lifetime(m)
	m.Device = "gpu"
	c.Lifetime(m)
	if c.Others() != 3 || c.Total() != 3 {
		t.Errorf("%d others of %d, want 3", c.Others(), c.Total())
	}
	vs := c.Violations()
	if len(vs) != 3 || !vs[0].Warmup || vs[0].Count != 1 || vs[1].Count != 2 || vs[1].ReadPS != 60 || vs[2].Reader != "gpu" {
		t.Fatalf("%+v", vs)
	}
	if v := vs[1]; v.Kind != "double_unmap" || v.Buffer != "buf" || v.Index != 3 || v.Reader != "cam" || v.WrittenPS != 20 || v.Missing != "a map for each unmap" || v.Where != m.Text || v.Bytes != 0 {
		t.Errorf("%+v", v)
	}
}

func TestAFenceHasNoBuffer(t *testing.T) {
	_, c, _ := setup(t)
	c.EndWarmup()
	c.Lifetime(dmabuf.Misuse{Kind: dmabuf.FenceLost, Device: "ring", At: 5})
	if vs := c.Violations(); len(vs) != 1 || vs[0].Buffer != "" || vs[0].Reader != "ring" || vs[0].Kind != "fence_lost" {
		t.Errorf("%+v", vs)
	}
}

func TestMisuseOfTheDMAAPISaysWhenTheBufferChangedHandsLast(t *testing.T) {
	_, c, b := setup(t)
	c.EndWarmup()
	handover(c, b, dmaapi.MapDevice, 10)
	handover(c, b, dmaapi.ToDeviceHandover, 40)
	c.Misuse(dmaapi.Misuse{Kind: dmaapi.CPUAccessOwned, Buffer: b, Device: "faces", At: 90, Text: "CPU read"})
	if vs := c.Violations(); len(vs) != 1 || vs[0].Kind != "cpu_access_owned" || vs[0].WrittenPS != 40 || vs[0].ReadPS != 90 || vs[0].Reader != "faces" {
		t.Errorf("%+v", vs)
	}
}

func TestSharedOwnershipIsNotedAndNotCounted(t *testing.T) {
	_, c, b := setup(t)
	c.EndWarmup()
	c.Misuse(dmaapi.Misuse{Kind: dmaapi.SharedOwnership, Buffer: b, Device: "cam", At: 7 * sim.Nanosecond, Text: "cam and gpu"})
	if c.Others() != 0 || len(c.Violations()) != 0 {
		t.Errorf("%d others, %+v", c.Others(), c.Violations())
	}
	if n := c.Notes(); len(n) != 1 || n[0] != (Note{"shared_ownership", "cam", "cam and gpu", 7 * sim.Nanosecond}) {
		t.Errorf("%+v", n)
	}
}
