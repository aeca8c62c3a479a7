// What scaleVirtualMachine and changeServiceForVirtualMachine ask for, looked up and judged.
import type { ServiceOfferingId } from '@ramet/core/ids.ts'
import type { Sizes } from '@ramet/core/offering.ts'
import type { App } from '../app.ts'
import { demandSizes, serviceOfferingNamed } from './deployment.ts'
import { flag, id, long, map } from './parameters.ts'

export const scaleParameters = {
  id: id<'vm'>('the virtual machine').must,
  serviceofferingid: id<'service-offering'>('the new service offering').must,
  details: map('what a custom offering leaves open: cpuNumber, cpuSpeed, memory'),
  automigrate: flag('accepted; the root disk stays where it is'),
  shrinkok: flag('accepted; the root disk keeps its size, which resizeVolume changes'),
  miniops: long('accepted; disks have no limits', 0, Number.MAX_SAFE_INTEGER),
  maxiops: long('accepted; disks have no limits', 0, Number.MAX_SAFE_INTEGER),
}

interface Asked {
  readonly serviceofferingid: ServiceOfferingId
  readonly details: ReadonlyMap<string, string>
}

export async function scaledTo(app: App, asked: Asked): Promise<{ offering: ServiceOfferingId; sizes: Sizes }> {
  const offering = await serviceOfferingNamed(app, asked.serviceofferingid)
  return { offering: offering.id, sizes: demandSizes(offering, asked.details) }
}
