package cpu

import (
	"testing"

	"socsim/cachemodel"
	"socsim/soc/memory"
)

func TestAnEvictedDirtyLineIsInMemoryAndInNoCache(t *testing.T) {
	r := newCachedRig(t, nil, cachemodel.ReadWriteAllocate)
	m := r.mapped(r.region(2*memory.PageBytes), Cached)
	r.run(func(th *Thread) {
		dirtied(th, m, 0, 2*line)
		pa := m.Region.Addr(0)
		th.Evict(m.Region.RunsOf(8, 4), false) // a part is the whole line
		if level, _, _ := r.caches.Probe(m.at(0)); level < r.lowest || r.mem.InMemory(pa) != r.mem.Newest(pa) {
			t.Errorf("in level %d of %d, memory has %v of %v", level, r.lowest, r.mem.InMemory(pa), r.mem.Newest(pa))
		}
		next := m.Region.Addr(line)
		if level, dirty, _ := r.caches.Probe(m.at(line)); level == r.lowest || !dirty || r.mem.InMemory(next) == r.mem.Newest(next) {
			t.Error("the next line has gone as well")
		}
	})
}

func TestAnEvictionFromTheInnerCachesLeavesTheLineInTheOuterOne(t *testing.T) {
	r := newRigWith(t, nil, func(c *cachemodel.Config) {
		allocateForStores(c)
		c.Levels[1].Outer = true
	})
	m := r.mapped(r.region(1*memory.PageBytes), Cached)
	r.run(func(th *Thread) {
		dirtied(th, m, 0, line)
		runs, pa := m.Region.RunsOf(0, line), m.Region.Addr(0)
		if th.Evict(runs, true); r.mem.InMemory(pa) == r.mem.Newest(pa) {
			t.Error("the outer cache's eviction took the inner caches' copy")
		}
		th.Evict(runs, false)
		if level, dirty, _ := r.caches.Probe(m.at(0)); level != 1 || !dirty || r.mem.InMemory(pa) == r.mem.Newest(pa) {
			t.Errorf("evicted from the inner caches: in level %d, dirty: %v", level, dirty)
		}
		th.Evict(runs, true)
		if level, _, _ := r.caches.Probe(m.at(0)); level < r.lowest || r.mem.InMemory(pa) != r.mem.Newest(pa) {
			t.Errorf("evicted from the outer one: in level %d", level)
		}
	})
}

func TestAnEvictedOldCopyLosesDeviceData(t *testing.T) {
	r := newCachedRig(t, nil, cachemodel.ReadWriteAllocate)
	m := r.mapped(r.region(1*memory.PageBytes), Cached)
	r.run(func(th *Thread) {
		dirtied(th, m, 0, line)
		r.written(th, m.Region.Addr(0), line)
		th.Evict(m.Region.RunsOf(0, line), false)
	})
	if n := r.seen.of(memory.LostDeviceData); n != 1 {
		t.Errorf("%d lines of device data lost, want 1", n)
	}
}

func TestAPrefetchIsNoAccess(t *testing.T) {
	r := newRig(t, nil)
	m := r.mapped(r.region(1*memory.PageBytes), Cached)
	r.run(func(th *Thread) {
		th.Prefetch(m, 4, 2) // a part is the whole line
		r.written(th, m.Region.Addr(0), line)
		before := r.Stats().SpeculativeFills
		th.Prefetch(m, 0, line) // which is there, and old
		if before != 1 || r.Stats().SpeculativeFills != 1 || len(r.seen) > 0 {
			t.Errorf("%d, then %d fills; %v", before, r.Stats().SpeculativeFills, r.seen)
		}
		th.Access(m, 0, line, Touch{Width: 4})
	})
	if n := r.seen.of(memory.StaleCPURead); n != 1 {
		t.Errorf("%d stale reads, want 1", n)
	}
}

func TestAPageThatIsNotPresentIsNotPrefetched(t *testing.T) {
	r := newRig(t, nil)
	m, err := r.MapTracked("tracked", r.mapped(r.region(2*memory.PageBytes), Cached).Region, Cached, func(*Thread, int, bool) { t.Error("a fault") })
	if err != nil {
		t.Fatal(err)
	}
	r.run(func(th *Thread) {
		th.Prefetch(m, 0, 2*memory.PageBytes)
		if n := r.Stats().SpeculativeFills; n != 0 {
			t.Errorf("%d fills", n)
		}
	})
}
