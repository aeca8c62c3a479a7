// How a machine is deployed where its hypervisor keeps its own disks, and what cannot be had there.
import type { App } from '../app.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { type DeployVm, deployVm } from '../jobs/deploy-vm.ts'
import { spawnVm } from '../jobs/spawn-vm.ts'
import type { Where } from '../jobs/vm-steps.ts'
import type { NewVolume } from '../store/new-vm.ts'
import type { Source } from './deploy-source.ts'
import { invalid } from './parameters.ts'

function keepsOwnDisks(app: App, { cluster }: Pick<Source, 'cluster'>): boolean {
  return app.capabilitiesOf(cluster).disks === 'machines'
}

export function deploymentOn(app: App, source: Source): JobDefinition<DeployVm> {
  return keepsOwnDisks(app, source) ? spawnVm : deployVm
}

interface Asked {
  readonly where: Where
  readonly data: readonly NewVolume[]
}

export function demandPossible(app: App, source: Source, { where, data }: Asked): void {
  if (!keepsOwnDisks(app, source)) return
  if (data.length > 0)
    throw invalid(
      'diskofferingid',
      `asks for a data disk; machines of ${source.hypervisor} have those of their template`,
    )
  if (where.cluster && where.cluster !== source.cluster)
    throw invalid('clusterid', 'is another cluster than that of the template; leave it out')
}
