package main

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// What vcsim lacks or passes over, added by us: machine and snapshot stand before vcsim's own objects, let them do what they can, and
// then do to the disks what VMware documents. Nothing here has been compared with a real vCenter. What it does:
//
//	clones.go     CloneVM_Task honours snapshot, diskMoveType and locators, gives new MACs; InstantClone_Task; PromoteDisks_Task
//	snapshots.go  snapshots put a new leaf on each disk; revert brings back the configuration and, as remove does, changes the disks;
//	              the current snapshot may go, whatever hangs on it; 32 levels; ConsolidateVMDisks_Task; RenameSnapshot
//	locks.go      clones are made while the inventory is followed
//	effects.go    what copies and merges cost
//	templates.go  what becomes a template, or a machine again, is told to those who follow it
//	attach.go     a disk that is attached by its file has the size of that
//	networks.go   switches say which port group is of their uplinks; also with -plain
type machine struct{ *simulator.VirtualMachine }

type snapshot struct {
	*simulator.VirtualMachineSnapshot
}

// Serves each call of a session on one of our objects in place of vcsim's. vcsim looks into the session's own registry first.
func extend(model *simulator.Model) {
	o := &overlays{seen: map[*simulator.Registry]bool{}}
	model.Map().AddHandler(o)
	patient := &filters{}
	model.Map().Handler = func(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		if ctx.Session != nil {
			o.lay(ctx, method.This)
			patient.soothe(ctx, method)
		}
		return nil, nil
	}
}

type overlays struct {
	lock sync.Mutex
	seen map[*simulator.Registry]bool
}

func (o *overlays) lay(ctx *simulator.Context, ref types.ManagedObjectReference) {
	registry := ctx.Session.Registry
	if registry.Get(ref) != nil {
		return
	}
	o.lock.Lock()
	o.seen[registry] = true
	o.lock.Unlock()
	switch found := ctx.Map.Get(ref).(type) {
	case *simulator.VirtualMachine:
		registry.Put(&machine{found})
	case *simulator.VirtualMachineSnapshot:
		registry.Put(&snapshot{found})
	}
}

func (o *overlays) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "RametOverlays", Value: "overlays"}
}

func (o *overlays) PutObject(*simulator.Context, mo.Reference) {}

func (o *overlays) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}

// What is gone is gone for the sessions too. A logout removes filters and views while it holds the session's registry.
func (o *overlays) RemoveObject(ctx *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type != "VirtualMachine" && ref.Type != "VirtualMachineSnapshot" {
		return
	}
	o.lock.Lock()
	defer o.lock.Unlock()
	for registry := range o.seen {
		if registry.Get(ref) != nil {
			registry.Remove(ctx, ref)
		}
	}
}

// A task of ours, under the name that a vCenter gives it: so it is told from vcsim's own tasks that run inside it.
func ownTask(vm *simulator.VirtualMachine, name string, run func(*simulator.Task) (types.AnyType, types.BaseMethodFault)) *simulator.Task {
	task := simulator.CreateTask(vm, name, run)
	task.Info.Name = name
	return task
}

// Runs one of vcsim's tasks to its end inside one of ours, which holds the machine's lock.
func inner(ctx *simulator.Context, started soap.HasFault, ref func() types.ManagedObjectReference) (types.AnyType, types.BaseMethodFault) {
	if started.Fault() != nil {
		return nil, started.Fault().VimFault().(types.BaseMethodFault)
	}
	task := ctx.Map.Get(ref()).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}
