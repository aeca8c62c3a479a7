package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *machine) MarkAsTemplate(ctx *simulator.Context, req *types.MarkAsTemplate) soap.HasFault {
	answer := m.VirtualMachine.MarkAsTemplate(req)
	tellKind(ctx, m.VirtualMachine)
	return answer
}

func (m *machine) MarkAsVirtualMachine(ctx *simulator.Context, req *types.MarkAsVirtualMachine) soap.HasFault {
	answer := m.VirtualMachine.MarkAsVirtualMachine(req)
	tellKind(ctx, m.VirtualMachine)
	return answer
}

func tellKind(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	ctx.Update(vm, []types.PropertyChange{{Name: "config.template", Val: vm.Config.Template}})
}
