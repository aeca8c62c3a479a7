// Writes down a machine and the job that deploys it: what deployVirtualMachine and cloneVirtualMachine do once they have judged what is
// asked for.
import type { CloneType } from '@ramet/core/clone-type.ts'
import { type AffinityGroupId, type JobId, newId, type VmId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { JobOrigin } from '../jobs/tools.ts'
import type { Where } from '../jobs/vm-steps.ts'
import { setAffinities } from '../store/affinity.ts'
import type { Tx } from '../store/database.ts'
import { groupNamed } from '../store/instance-groups.ts'
import { insertVm, type NewVm } from '../store/new-vm.ts'
import type { Row } from '../store/tables.ts'
import { type DataThen, startDataVolumes } from './data-volumes.ts'
import { deploymentOn } from './deploy-on.ts'
import type { Source } from './deploy-source.ts'

export interface NewDeployment {
  readonly owner: Row<'account'>
  readonly source: Source
  readonly dataThen: readonly DataThen[]
  readonly name: string | undefined
  readonly displayName: string | undefined
  readonly nics: NewVm['nics']
  readonly keys: NewVm['keys']
  /** Fields of the record besides what the source says. */
  readonly fields: Partial<NewVm['vm']>
  readonly group?: string | undefined
  readonly affinities: readonly AffinityGroupId[]
  readonly start: boolean
  readonly withPassword: boolean
  readonly where: Where
  readonly cloneType: CloneType | null
}

export async function startDeployment(
  app: App,
  tx: Tx,
  asked: NewDeployment,
  origin: JobOrigin,
): Promise<{ id: VmId; name: string; jobid: JobId }> {
  const { owner, source, dataThen, where, cloneType } = asked
  const { zone, offering, sizes, image, volumes } = source
  const vm = await insertVm(tx, {
    vm: {
      id: newId(),
      user_id: origin.user,
      zone_id: zone.id,
      template_id: image?.id ?? null,
      iso_id: source.iso,
      service_offering_id: offering.id,
      hypervisor: source.hypervisor,
      cluster_id: source.cluster,
      cpus: sizes.cpus,
      cpu_mhz: sizes.cpuMhz,
      memory_mib: sizes.memoryMib,
      group_id: asked.group ? await groupNamed(tx, owner.id, asked.group, origin.user) : null,
      ...asked.fields,
    },
    account: owner,
    name: asked.name || undefined,
    displayName: asked.displayName,
    instanceSuffix: app.settings.text('instance.name'),
    nics: asked.nics,
    keys: asked.keys,
    volumes,
  })
  if (asked.affinities.length > 0) await setAffinities(tx, vm.id, asked.affinities)
  const to = { vm: vm.id, owner, cloneType }
  const input = {
    vm: vm.id,
    template: source.template,
    ...(source.vmSnapshot && { vmSnapshot: source.vmSnapshot }),
    ...(source.node && { node: source.node }),
    disks: volumes.map(({ id, of }) => ({ volume: id, layer: newId<'layer'>(), ...(of && { of }) })),
    ...(dataThen.length > 0 && { data: await startDataVolumes(app, tx, dataThen, to, origin) }),
    start: asked.start,
    withPassword: asked.withPassword,
    ...where,
    cloneType,
  }
  return { id: vm.id, name: vm.name, jobid: await app.jobs.start(tx, deploymentOn(app, source), input, origin) }
}
