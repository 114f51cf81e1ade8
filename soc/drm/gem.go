package drm

import (
	"errors"
	"fmt"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// Device is a DRM driver's side of buffer sharing: GEM objects, its own and imported ones (drivers/gpu/drm/drm_prime.c, recalled).
type Device struct {
	alloc    *dmabuf.Allocator
	importer dmabuf.Importer
	objects  map[*dmabuf.Buffer]*Object
}

// Object is a GEM object.
type Object struct {
	// Buffer is its memory and Attachment the device's mapping of it.
	Buffer     *dmabuf.Buffer
	Attachment *dmabuf.Attachment
	Imported   bool
	device     *Device
}

// NewDevice returns a driver whose device reaches memory as the importer says.
func NewDevice(alloc *dmabuf.Allocator, importer dmabuf.Importer) *Device {
	return &Device{alloc: alloc, importer: importer, objects: map[*dmabuf.Buffer]*Object{}}
}

// Create makes an object of the driver's own memory, which the device reads and writes.
func (d *Device) Create(t *cpu.Thread, name string, index int, bytes int64, attr cpu.Attr) (*Object, error) {
	b, err := d.alloc.Allocate(t, dmabuf.Request{
		Name: name, Index: index, Bytes: bytes, Exporter: dmabuf.GEM, Attr: attr, Direction: dmaapi.Bidirectional, Owner: d.importer.DeviceName(),
	})
	if err != nil {
		return nil, fmt.Errorf("creating a GEM object of %d bytes: %w", bytes, err)
	}
	return d.attach(t, b, false)
}

// attach maps a buffer, to which the caller has given a reference, and makes it an object. The reference is dropped if the device cannot have it.
func (d *Device) attach(t *cpu.Thread, b *dmabuf.Buffer, imported bool) (*Object, error) {
	at := b.Attach(d.importer, dmaapi.Bidirectional)
	if _, err := at.Map(t); err != nil {
		return nil, errors.Join(err, at.Detach(t), b.Put(t))
	}
	o := &Object{Buffer: b, Attachment: at, Imported: imported, device: d}
	d.objects[b] = o
	return o, nil
}

// Export is PRIME_HANDLE_TO_FD: it returns the object as a dma-buf, with a reference of its own.
func (o *Object) Export() (*dmabuf.Buffer, error) { return o.Buffer.Get() }

// Import is PRIME_FD_TO_HANDLE. A buffer that the device has as an object already, its own or one it imported before, gives that object and takes nothing; another is attached and mapped in both
// directions, and held.
func (d *Device) Import(t *cpu.Thread, b *dmabuf.Buffer) (*Object, error) {
	if o := d.objects[b]; o != nil {
		return o, nil
	}
	if _, err := b.Get(); err != nil {
		return nil, err
	}
	return d.attach(t, b, true)
}

// Close is GEM_CLOSE: it unmaps and detaches the buffer and drops it. One close undoes any number of imports.
func (o *Object) Close(t *cpu.Thread) error {
	d := o.device
	if d.objects[o.Buffer] != o {
		return fmt.Errorf("closing the GEM object of %s: %w", o.Buffer.Region.Name, ErrNoObject)
	}
	delete(d.objects, o.Buffer)
	return errors.Join(o.Attachment.Unmap(t), o.Attachment.Detach(t), o.Buffer.Put(t))
}

// ErrNoObject is returned for a GEM object that was closed (EINVAL).
var ErrNoObject = errors.New("there is no such object")
