package main

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// vcsim makes a port group of uplinks with each distributed switch, and does not say in the switch which one it is.
func tellUplinks(model *simulator.Model) {
	for _, each := range model.Map().All("DistributedVirtualSwitch") {
		vswitch := each.(*simulator.DistributedVirtualSwitch)
		for _, ref := range vswitch.Portgroup {
			group := model.Map().Get(ref).(*simulator.DistributedVirtualPortgroup)
			if strings.Contains(group.Name, "-DVUplinks") {
				noteUplink(vswitch, group.DistributedVirtualPortgroup)
			}
		}
	}
}

func noteUplink(vswitch *simulator.DistributedVirtualSwitch, group mo.DistributedVirtualPortgroup) {
	config := vswitch.Config.GetDVSConfigInfo()
	config.UplinkPortgroup = []types.ManagedObjectReference{group.Self}
}
