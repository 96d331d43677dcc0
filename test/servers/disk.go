//go:build linux

package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// SmallDisk is a file system in memory that is soon full.
type SmallDisk struct {
	room    *room
	ballast string
}

// NewSmallDisk mounts one of size bytes, which only root may do.
func NewSmallDisk(size int64) (*SmallDisk, error) {
	r, err := newRoom("disk", "")
	if err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", r.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size)); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a small disk (only root may): %w", err), r.close())
	}
	return &SmallDisk{room: r, ballast: filepath.Join(r.dir, "ballast")}, nil
}

// Dir is the top directory of the disk.
func (d *SmallDisk) Dir() string { return d.room.dir }

// Fill writes until no space is left. It may be called again to take what has become free since.
func (d *SmallDisk) Fill() error {
	f, err := os.OpenFile(d.ballast, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer f.Close()
	block := bytes.Repeat([]byte("x"), os.Getpagesize())
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// Free removes what Fill wrote. A disk that was not filled is an error: the fault did not happen.
func (d *SmallDisk) Free() error {
	if err := os.Remove(d.ballast); err != nil {
		return fmt.Errorf("free the disk: %w", err)
	}
	return nil
}

// Close unmounts the disk, even if files there are open. It may be called twice.
func (d *SmallDisk) Close() error {
	if len(d.room.locks) == 0 {
		return nil
	}
	if err := syscall.Unmount(d.room.dir, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the small disk: %w", err)
	}
	return d.room.close()
}
