package main

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// VMware's limit of redo logs on one disk.
const mostDeltas = 255

func (m *machine) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "CloneVM_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return clone(ctx, vm, req)
	})
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: task.Run(ctx)}}
}

func clone(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.CloneVM_Task) (types.AnyType, types.BaseMethodFault) {
	location := req.Spec.Location
	if fault := missing(ctx, location.Host, location.Datastore, location.Pool, req.Spec.Snapshot); fault != nil {
		return nil, fault
	}
	source := vm.Config
	if req.Spec.Snapshot != nil {
		frozen := ctx.Map.Get(*req.Spec.Snapshot).(*simulator.VirtualMachineSnapshot)
		if frozen.Vm != vm.Self {
			return nil, &types.InvalidArgument{InvalidProperty: "spec.snapshot"}
		}
		source = &frozen.Config
	} else if location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking) {
		return nil, &types.InvalidArgument{InvalidProperty: "spec.location.diskMoveType"}
	}
	now := vm.Config
	vm.Config = source // vcsim clones what it takes for the present
	started := vm.CloneVMTask(ctx, req)
	made, fault := inner(ctx, started, func() types.ManagedObjectReference {
		return started.(*methods.CloneVM_TaskBody).Res.Returnval
	})
	vm.Config = now
	if fault != nil {
		return nil, fault
	}
	one := ctx.Map.Get(made.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	layDisks(one, source, location)
	giveAddresses(one, source)
	changed(ctx, one)
	return made, nil
}

func missing(ctx *simulator.Context, refs ...*types.ManagedObjectReference) types.BaseMethodFault {
	for _, each := range refs {
		if each != nil && ctx.Map.Get(*each) == nil {
			return &types.ManagedObjectNotFound{Obj: *each}
		}
	}
	return nil
}

// Puts the disks of a clone on those of its source, as the disk move type says.
func layDisks(vm *simulator.VirtualMachine, source *types.VirtualMachineConfigInfo, location types.VirtualMachineRelocateSpec) {
	sources := map[int32]disk{}
	for _, each := range disksOf(source.Hardware.Device) {
		sources[each.Key] = each
	}
	for _, each := range disksOf(vm.Config.Hardware.Device) {
		from, ok := sources[each.Key]
		if !ok {
			continue
		}
		move := location.DiskMoveType
		for _, locator := range location.Disk {
			if locator.DiskId == each.Key && locator.DiskMoveType != "" {
				move = locator.DiskMoveType
			}
		}
		switch types.VirtualMachineRelocateDiskMoveOptions(move) {
		case types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking:
			under := *from.backing
			each.backing.Parent = &under
		case types.VirtualMachineRelocateDiskMoveOptionsMoveChildMostDiskBacking:
			each.backing.Parent = from.backing.Parent
		}
	}
}

// A card whose address is not set by hand has a new one in a clone; vcsim copies it.
func giveAddresses(vm *simulator.VirtualMachine, source *types.VirtualMachineConfigInfo) {
	taken := map[string]bool{}
	for _, each := range source.Hardware.Device {
		if card, ok := each.(types.BaseVirtualEthernetCard); ok {
			taken[strings.ToLower(card.GetVirtualEthernetCard().MacAddress)] = true
		}
	}
	for _, each := range vm.Config.Hardware.Device {
		if card, ok := each.(types.BaseVirtualEthernetCard); ok {
			one := card.GetVirtualEthernetCard()
			if one.AddressType != string(types.VirtualEthernetCardMacTypeManual) && taken[strings.ToLower(one.MacAddress)] {
				random := make([]byte, 3)
				_, _ = rand.Read(random)
				one.MacAddress = fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|random[0]&0x3f, random[1], random[2])
			}
		}
	}
}

func (m *machine) InstantCloneTask(ctx *simulator.Context, req *types.InstantClone_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "InstantClone_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return instantClone(ctx, vm, req.Spec)
	})
	return &methods.InstantClone_TaskBody{Res: &types.InstantClone_TaskResponse{Returnval: task.Run(ctx)}}
}

func instantClone(ctx *simulator.Context, vm *simulator.VirtualMachine, spec types.VirtualMachineInstantCloneSpec) (types.AnyType, types.BaseMethodFault) {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return nil, &types.InvalidState{}
	}
	if spec.Location.Host != nil || spec.Location.DiskMoveType != "" {
		return nil, &types.InvalidArgument{InvalidProperty: "spec.location"}
	}
	for _, each := range disksOf(vm.Config.Hardware.Device) {
		if len(chain(each.backing)) >= mostDeltas {
			return nil, &types.SystemError{Reason: "Unable to prepare migration"}
		}
	}
	folder := vm.Parent
	if spec.Location.Folder != nil {
		folder = spec.Location.Folder
	}
	location := spec.Location
	location.Host = vm.Runtime.Host
	made, fault := clone(ctx, vm, &types.CloneVM_Task{This: vm.Self, Folder: *folder, Name: spec.Name, Spec: types.VirtualMachineCloneSpec{
		Location: location, Config: &types.VirtualMachineConfigSpec{ExtraConfig: spec.Config}, PowerOn: true,
	}})
	if fault != nil {
		return nil, fault
	}
	one := ctx.Map.Get(made.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	location.DiskMoveType = string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
	layDisks(one, vm.Config, location)
	changed(ctx, one)
	if vm.Runtime.InstantCloneFrozen == nil || !*vm.Runtime.InstantCloneFrozen {
		for _, each := range disksOf(vm.Config.Hardware.Device) {
			each.Backing = leafOn(ctx, vm, each.backing)
		}
		changed(ctx, vm)
	}
	return made, nil
}

func (m *machine) PromoteDisksTask(ctx *simulator.Context, req *types.PromoteDisks_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "PromoteDisks_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn && vm.Snapshot != nil {
			return nil, &types.InvalidState{}
		}
		listed := map[int32]bool{}
		for _, each := range req.Disks {
			listed[each.Key] = true
		}
		for _, each := range disksOf(vm.Config.Hardware.Device) {
			if below := chain(each.backing)[1:]; req.Unlink && len(below) > 0 && (len(listed) == 0 || listed[each.Key]) {
				copies(each.CapacityInBytes + int64(len(below)-1)*deltaBytes)
				each.backing.Parent = nil
			}
		}
		changed(ctx, vm)
		return nil, nil
	})
	return &methods.PromoteDisks_TaskBody{Res: &types.PromoteDisks_TaskResponse{Returnval: task.Run(ctx)}}
}
