package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type backing = types.VirtualDiskFlatVer2BackingInfo

type disk struct {
	*types.VirtualDisk
	backing *backing
}

func disksOf(devices []types.BaseVirtualDevice) (disks []disk) {
	for _, each := range devices {
		if one, ok := each.(*types.VirtualDisk); ok {
			if flat, ok := one.Backing.(*backing); ok {
				disks = append(disks, disk{one, flat})
			}
		}
	}
	return disks
}

func isIndependent(d disk) bool { return strings.HasPrefix(d.backing.DiskMode, "independent") }

// The file and all that it stands on, leaf first.
func chain(b *backing) (files []string) {
	for ; b != nil; b = b.Parent {
		files = append(files, b.FileName)
	}
	return files
}

// A backing on top of another, in a file of its own in the folder of the machine.
func leafOn(ctx *simulator.Context, vm *simulator.VirtualMachine, parent *backing) *backing {
	leaf := *parent
	under := *parent
	leaf.Parent = &under
	leaf.FileName = freeName(ctx, vm, parent.FileName)
	return &leaf
}

// NAME-000001.vmdk, or the next number that is free; makes the file.
func freeName(ctx *simulator.Context, vm *simulator.VirtualMachine, parent string) string {
	var from object.DatastorePath
	from.FromString(parent)
	base := strings.TrimSuffix(path.Base(from.Path), ".vmdk")
	if at := strings.LastIndex(base, "-"); at > 0 && len(base)-at == 7 {
		base = base[:at]
	}
	folder := folderOf(vm)
	for i := 1; ; i++ {
		name := object.DatastorePath{Datastore: folder.Datastore, Path: path.Join(folder.Path, fmt.Sprintf("%s-%06d.vmdk", base, i))}
		file, err := os.OpenFile(local(ctx, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_ = file.Close()
			return name.String()
		}
		if !os.IsExist(err) {
			return name.String()
		}
	}
}

func folderOf(vm *simulator.VirtualMachine) object.DatastorePath {
	var vmx object.DatastorePath
	vmx.FromString(vm.Config.Files.VmPathName)
	if path.Ext(vmx.Path) == ".vmx" {
		vmx.Path = path.Dir(vmx.Path)
	}
	return vmx
}

func local(ctx *simulator.Context, name object.DatastorePath) string {
	for _, each := range ctx.Map.All("Datastore") {
		if ds := each.(*simulator.Datastore); ds.Name == name.Datastore {
			return path.Join(ds.Info.GetDatastoreInfo().Url, name.Path)
		}
	}
	return ""
}

// Tells who follows the machine that its disks have changed, and brings its layoutEx up to date.
func changed(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: vm.Config.Hardware.Device}})
	vm.RefreshStorageInfo(ctx, nil)
	ctx.Update(vm, []types.PropertyChange{{Name: "layoutEx", Val: vm.LayoutEx}})
}

// Every backing, of any machine or snapshot, that stands directly on the file, by its own file.
func childrenOf(ctx *simulator.Context, file string) map[string][]*backing {
	found := map[string][]*backing{}
	visit := func(devices []types.BaseVirtualDevice) {
		for _, one := range disksOf(devices) {
			for b := one.backing; b != nil; b = b.Parent {
				if b.Parent != nil && b.Parent.FileName == file {
					found[b.FileName] = append(found[b.FileName], b)
				}
			}
		}
	}
	for _, each := range ctx.Map.All("VirtualMachine") {
		visit(each.(*simulator.VirtualMachine).Config.Hardware.Device)
	}
	for _, each := range ctx.Map.AllReference("VirtualMachineSnapshot") {
		visit(each.(*simulator.VirtualMachineSnapshot).Config.Hardware.Device)
	}
	return found
}
