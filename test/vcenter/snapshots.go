package main

import (
	"flag"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// VMware allows 32; fewer let a test come to the end sooner.
var mostLevels = flag.Int("levels", 32, "snapshots that may stand one upon the other")

func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "CreateSnapshot_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if levelsTo(vm) >= *mostLevels {
			return nil, &types.TooManySnapshotLevels{}
		}
		if req.Memory && vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			own := *req
			own.Memory = false // there is none
			req = &own
		}
		started := vm.CreateSnapshotTask(ctx, req)
		made, fault := inner(ctx, started, func() types.ManagedObjectReference {
			return started.(*methods.CreateSnapshot_TaskBody).Res.Returnval
		})
		if fault != nil {
			return nil, fault
		}
		for _, each := range disksOf(vm.Config.Hardware.Device) {
			if !isIndependent(each) {
				each.Backing = leafOn(ctx, vm, each.backing)
			}
		}
		changed(ctx, vm)
		return made, nil
	})
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: task.Run(ctx)}}
}

// How many snapshots the state of the machine stands on.
func levelsTo(vm *simulator.VirtualMachine) int {
	if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil {
		return 0
	}
	var depth func(list []types.VirtualMachineSnapshotTree, level int) int
	depth = func(list []types.VirtualMachineSnapshotTree, level int) int {
		for _, each := range list {
			if each.Snapshot == *vm.Snapshot.CurrentSnapshot {
				return level
			}
			if below := depth(each.ChildSnapshotList, level+1); below > 0 {
				return below
			}
		}
		return 0
	}
	return depth(vm.Snapshot.RootSnapshotList, 1)
}

func stateOf(list []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference) types.VirtualMachinePowerState {
	for _, each := range list {
		if each.Snapshot == ref {
			return each.State
		}
		if state := stateOf(each.ChildSnapshotList, ref); state != "" {
			return state
		}
	}
	return ""
}

func (s *snapshot) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	vm := ctx.Map.Get(s.Vm).(*simulator.VirtualMachine)
	task := ownTask(vm, "RevertToSnapshot_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		started := s.VirtualMachineSnapshot.RevertToSnapshotTask(ctx, req)
		_, fault := inner(ctx, started, func() types.ManagedObjectReference {
			return started.(*methods.RevertToSnapshot_TaskBody).Res.Returnval
		})
		if fault != nil {
			return nil, fault
		}
		vm.Config.Hardware = copied(s.Config.Hardware)
		vm.Config.ExtraConfig = append([]types.BaseOptionValue(nil), s.Config.ExtraConfig...)
		for _, each := range disksOf(vm.Config.Hardware.Device) {
			if !isIndependent(each) {
				each.Backing = leafOn(ctx, vm, each.backing)
			}
		}
		power := stateOf(vm.Snapshot.RootSnapshotList, s.Self)
		if req.SuppressPowerOn != nil && *req.SuppressPowerOn {
			power = types.VirtualMachinePowerStatePoweredOff
		}
		ctx.Update(vm, []types.PropertyChange{
			{Name: "config.hardware.numCPU", Val: vm.Config.Hardware.NumCPU},
			{Name: "config.hardware.memoryMB", Val: vm.Config.Hardware.MemoryMB},
			{Name: "runtime.powerState", Val: power},
			{Name: "summary.runtime.powerState", Val: power},
		})
		changed(ctx, vm)
		return nil, nil
	})
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: task.Run(ctx)}}
}

// Hardware whose disks may be changed without those of the original.
func copied(hardware types.VirtualHardware) types.VirtualHardware {
	devices := make([]types.BaseVirtualDevice, len(hardware.Device))
	for i, each := range hardware.Device {
		devices[i] = each
		if one, ok := each.(*types.VirtualDisk); ok {
			disk := *one
			if flat, ok := disk.Backing.(*backing); ok {
				own := *flat
				disk.Backing = &own
			}
			devices[i] = &disk
		}
	}
	hardware.Device = devices
	return hardware
}

func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	vm := ctx.Map.Get(s.Vm).(*simulator.VirtualMachine)
	task := ownTask(vm, "RemoveSnapshot_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		gone := []types.ManagedObjectReference{s.Self}
		if req.RemoveChildren {
			gone = append(gone, below(vm.Snapshot.RootSnapshotList, s.Self, false)...)
		}
		frozen := frozenFiles(ctx, gone)
		standOnParent(ctx, vm, gone)
		started := s.VirtualMachineSnapshot.RemoveSnapshotTask(ctx, req)
		_, fault := inner(ctx, started, func() types.ManagedObjectReference {
			return started.(*methods.RemoveSnapshot_TaskBody).Res.Returnval
		})
		if fault != nil {
			return nil, fault
		}
		for _, ref := range gone[1:] {
			ctx.Map.Remove(ctx, ref)
		}
		mergeUnlessTold(ctx, vm, frozen, req.Consolidate)
		return nil, nil
	})
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: task.Run(ctx)}}
}

func (m *machine) RemoveAllSnapshotsTask(ctx *simulator.Context, req *types.RemoveAllSnapshots_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "RemoveAllSnapshots_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		var gone []types.ManagedObjectReference
		if vm.Snapshot != nil {
			gone = below(vm.Snapshot.RootSnapshotList, types.ManagedObjectReference{}, true)
		}
		frozen := frozenFiles(ctx, gone)
		started := vm.RemoveAllSnapshotsTask(ctx, req)
		_, fault := inner(ctx, started, func() types.ManagedObjectReference {
			return started.(*methods.RemoveAllSnapshots_TaskBody).Res.Returnval
		})
		if fault != nil {
			return nil, fault
		}
		for _, ref := range gone {
			ctx.Map.Remove(ctx, ref)
		}
		mergeUnlessTold(ctx, vm, frozen, req.Consolidate)
		return nil, nil
	})
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: task.Run(ctx)}}
}

// The state of a machine whose current snapshot goes stands on what that stands on. vcsim looks at the snapshot that is asked for alone, and
// ends when it is a root that carries others.
func standOnParent(ctx *simulator.Context, vm *simulator.VirtualMachine, gone []types.ManagedObjectReference) {
	if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil || !slices.Contains(gone, *vm.Snapshot.CurrentSnapshot) {
		return
	}
	info := *vm.Snapshot
	info.CurrentSnapshot = parentOf(info.RootSnapshotList, gone[0])
	ctx.Update(vm, []types.PropertyChange{{Name: "snapshot", Val: &info}})
}

func parentOf(list []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference) *types.ManagedObjectReference {
	for _, each := range list {
		for _, child := range each.ChildSnapshotList {
			if child.Snapshot == ref {
				parent := each.Snapshot
				return &parent
			}
		}
		if found := parentOf(each.ChildSnapshotList, ref); found != nil {
			return found
		}
	}
	return nil
}

// All snapshots of the list that stand on the one given.
func below(list []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference, inside bool) (refs []types.ManagedObjectReference) {
	for _, each := range list {
		if inside {
			refs = append(refs, each.Snapshot)
		}
		refs = append(refs, below(each.ChildSnapshotList, ref, inside || each.Snapshot == ref)...)
	}
	return refs
}

func frozenFiles(ctx *simulator.Context, snapshots []types.ManagedObjectReference) (files []string) {
	for _, ref := range snapshots {
		if one, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot); ok {
			for _, each := range disksOf(one.Config.Hardware.Device) {
				files = append(files, each.backing.FileName)
			}
		}
	}
	return files
}

func mergeUnlessTold(ctx *simulator.Context, vm *simulator.VirtualMachine, files []string, consolidate *bool) {
	if consolidate != nil && !*consolidate {
		needConsolidation(ctx, vm, true)
		return
	}
	merge(ctx, vm, files)
}

// A file that no snapshot names and on which one other stands takes that one's content; the other is gone.
func merge(ctx *simulator.Context, vm *simulator.VirtualMachine, files []string) {
	for merged := true; merged; {
		merged = false
		for _, file := range files {
			children := childrenOf(ctx, file)
			if len(children) != 1 || isNamed(ctx, file) {
				continue
			}
			merged = true
			copies(deltaBytes)
			for _, backings := range children {
				for _, each := range backings {
					each.FileName, each.Parent = file, each.Parent.Parent
				}
			}
		}
	}
	changed(ctx, vm)
}

func needConsolidation(ctx *simulator.Context, vm *simulator.VirtualMachine, need bool) {
	vm.Runtime.ConsolidationNeeded = need
	ctx.Update(vm, []types.PropertyChange{{Name: "runtime", Val: vm.Runtime}})
}

func isNamed(ctx *simulator.Context, file string) bool {
	for _, each := range ctx.Map.AllReference("VirtualMachineSnapshot") {
		for _, one := range disksOf(each.(*simulator.VirtualMachineSnapshot).Config.Hardware.Device) {
			if one.backing.FileName == file {
				return true
			}
		}
	}
	return false
}

func (m *machine) ConsolidateVMDisksTask(ctx *simulator.Context, req *types.ConsolidateVMDisks_Task) soap.HasFault {
	vm := m.VirtualMachine
	task := ownTask(vm, "ConsolidateVMDisks_Task", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		var files []string
		for _, each := range disksOf(vm.Config.Hardware.Device) {
			files = append(files, chain(each.backing)[1:]...)
		}
		merge(ctx, vm, files)
		needConsolidation(ctx, vm, false)
		return nil, nil
	})
	return &methods.ConsolidateVMDisks_TaskBody{Res: &types.ConsolidateVMDisks_TaskResponse{Returnval: task.Run(ctx)}}
}

func (s *snapshot) RenameSnapshot(ctx *simulator.Context, req *types.RenameSnapshot) soap.HasFault {
	vm := ctx.Map.Get(s.Vm).(*simulator.VirtualMachine)
	var rename func(list []types.VirtualMachineSnapshotTree) []types.VirtualMachineSnapshotTree
	rename = func(list []types.VirtualMachineSnapshotTree) []types.VirtualMachineSnapshotTree {
		renamed := append([]types.VirtualMachineSnapshotTree(nil), list...)
		for i := range renamed {
			each := &renamed[i]
			each.ChildSnapshotList = rename(each.ChildSnapshotList)
			if each.Snapshot == s.Self {
				if req.Name != "" {
					each.Name = req.Name
				}
				if req.Description != "" {
					each.Description = req.Description
				}
			}
		}
		return renamed
	}
	ctx.Update(vm, []types.PropertyChange{{Name: "snapshot.rootSnapshotList", Val: rename(vm.Snapshot.RootSnapshotList)}})
	return &methods.RenameSnapshotBody{Res: &types.RenameSnapshotResponse{}}
}
