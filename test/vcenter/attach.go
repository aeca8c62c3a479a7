package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"
)

// A disk that is attached by its file is as large as the file says, and one that grows tells its file; vcsim takes what the call says, which
// need not know, and leaves the file.
func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	for _, each := range req.Spec.DeviceChange {
		change := each.GetVirtualDeviceConfigSpec()
		for _, one := range disksOf([]types.BaseVirtualDevice{change.Device}) {
			if change.FileOperation == "" {
				agree(ctx, change.Operation, one)
			}
		}
	}
	return m.VirtualMachine.ReconfigVMTask(ctx, req)
}

func agree(ctx *simulator.Context, operation types.VirtualDeviceConfigSpecOperation, one disk) {
	files := ctx.Map.FileManager()
	datacenter := ctx.Map.Any("Datacenter").Reference()
	descriptor, path, fault := files.DiskDescriptor(ctx, &datacenter, one.backing.FileName)
	if fault != nil {
		return
	}
	switch {
	case operation == types.VirtualDeviceConfigSpecOperationAdd && one.CapacityInKB == 0:
		one.CapacityInKB = descriptor.Capacity() / 1024
		one.CapacityInBytes = descriptor.Capacity()
	case operation == types.VirtualDeviceConfigSpecOperationEdit && one.CapacityInKB*1024 > descriptor.Capacity():
		descriptor.Extent[0].Size = one.CapacityInKB * 1024 / vmdk.SectorSize
		_ = files.SaveDiskDescriptor(ctx, descriptor, path)
	}
}
