package main

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// vcsim waits for ever when a clone is made while somebody follows the inventory: who follows holds his filter and waits for the source,
// the clone's task holds the source and waits for the filter, to note in it that the view has grown. The note only makes vcsim tell
// again of all that is in the view, which no vCenter does: what came and went is told without it. Lists, of tasks, need it.
type patientFilter struct{ *simulator.PropertyFilter }

func (f *patientFilter) UpdateObject(ctx *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	if o.Reference().Type != "ContainerView" {
		f.PropertyFilter.UpdateObject(ctx, o, changes)
	}
}

// Filters that have been made patient.
type filters struct{ known sync.Map }

func (p *filters) soothe(ctx *simulator.Context, method *simulator.Method) {
	collector, ok := ctx.Session.Get(method.This).(*simulator.PropertyCollector)
	if !ok || method.Name != "WaitForUpdatesEx" {
		return
	}
	for _, ref := range collector.Filter {
		filter, ok := ctx.Session.Get(ref).(*simulator.PropertyFilter)
		if _, known := p.known.LoadOrStore(ref, true); ok && !known {
			ctx.Map.AddHandler(&patientFilter{filter})
		}
	}
}
