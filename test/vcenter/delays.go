package main

import "github.com/vmware/govmomi/simulator"

// Tasks that sessions ask for: ours, and vcsim's that we leave as they are.
var asked = []string{
	"CloneVM_Task", "InstantClone_Task", "PromoteDisks_Task", "CreateSnapshot_Task", "RevertToSnapshot_Task", "RemoveSnapshot_Task",
	"RemoveAllSnapshots_Task", "ConsolidateVMDisks_Task",
	"PowerOn", "PowerOff", "ReconfigVm", "RelocateVm", "Destroy", "CustomizeVm", "Reset", "Suspend",
}

// Each task takes so many milliseconds at least, and locks nothing meanwhile. Those of vcsim's that run inside one of ours take none: they
// would hold its machine, and clones of one source, which a vCenter makes side by side, would be made one after the other.
func delayed(ms int, plain bool) simulator.DelayConfig {
	methods := map[string]int{"LockHandoff": 0}
	if plain {
		return simulator.DelayConfig{Delay: ms, MethodDelay: methods}
	}
	for _, name := range asked {
		methods[name] = ms
	}
	return simulator.DelayConfig{MethodDelay: methods}
}
