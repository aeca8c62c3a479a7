import { waysToClone } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import { cloneVms } from '../../jobs/clone-vms.ts'
import type { Spare } from '../../watch/warm.ts'
import { holdRoom } from '../../store/limits.ts'
import { originOfCall } from '../caller.ts'
import {
  clonesResult,
  demandFreeNames,
  demandHostRoom,
  inheritedBy,
  namesOfClones,
  nicsOfClone,
} from '../clone-call.ts'
import { cloneSource, nodeOf } from '../clone-source.ts'
import { jobCommand } from '../command.ts'
import { startDeployment } from '../new-deployment.ts'
import { ownerParameters } from '../ownership.ts'
import { takeSpares } from '../spare-ids.ts'
import { choice, id, invalid, list, long, text } from '../parameters.ts'

export const cloneVirtualMachine = jobCommand({
  name: 'cloneVirtualMachine',
  description:
    'Makes virtual machines of another one, as it is now, or as a VM snapshot has it, with all its disks. Full: with disks of their own; linked: sharing what these held; instant: also going on from its memory, at the very instruction. They belong to the account of their source, or, full ones and such as are made of a VM snapshot, to the account that is named',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the machine, running, stopped or frozen; this or vmsnapshotid'),
    vmsnapshotid: id<'vm-snapshot'>('a VM snapshot, for instant clones one with memory; this or virtualmachineid'),
    clonetype: choice(
      'full, linked or instant; absent: full or linked, as the offering, the storage pool or the global setting decides',
      waysToClone,
    ),
    count: long('how many; 1 when absent, and vm.clone.max.count at most', 1, 1000),
    name: text('host name, RFC 1123; with count, NAME-1 and so on; made up when absent', 63),
    networkids: list('networks, the first is the default; those of the source when absent', id<'network'>('a network')),
    serviceofferingid: id<'service-offering'>(
      'CPUs and memory; those of the source when absent, and for instant clones',
    ),
    ...ownerParameters,
    account: text('name of the account that they are for; that of the source when absent'),
    domainid: id<'domain'>('domain of that account; the own one when absent'),
  },
  result: clonesResult,
  async run({ app, caller, params }) {
    const { count = 1 } = params
    const most = app.settings.number('vm.clone.max.count')
    if (count > most) throw invalid('count', `is ${count}; one call may ask for ${most} clones (vm.clone.max.count)`)
    const names = namesOfClones(params.name, count)
    const asked = await cloneSource(app, caller, params)
    const { vm, source, disks, dataThen, isInstant, cloneType, owner } = asked
    const inherited = await inheritedBy(app, asked)
    const nics = await nicsOfClone(app, caller, owner, asked, params.networkids ?? [])
    if (isInstant) await demandHostRoom(app, asked, count)
    const origin = originOfCall(caller, 'cloneVirtualMachine')
    const bytes = [...disks.map(({ sizeBytes }) => sizeBytes), ...dataThen.map(each => each.fields.size_bytes)]
    let spares: readonly Spare[] = []
    const written = app.db.transaction().execute(async tx => {
      await demandFreeNames(tx, owner, names)
      await holdRoom(tx, owner.id, {
        vm: count,
        cpu: count * source.sizes.cpus,
        memory: count * source.sizes.memoryMib,
        volume: count * bytes.length,
        primaryBytes: count * bytes.reduce((sum, each) => sum + each, 0),
      })
      const node = await nodeOf(app, tx, asked, count, origin)
      const fork = node && 'fork' in node.from ? node.from.fork : null
      spares = await takeSpares(app, tx, node, count)
      const clones = []
      for (const [index, name] of names.entries()) {
        const spare = spares[index]
        const ids = spare && { id: spare.vm, generation_id: spare.generationId }
        const volumes = disks.map(disk => ({
          ...disk,
          id: spare?.volumes.get(disk.deviceId ?? 0) ?? newId<'volume'>(),
        }))
        const made = await startDeployment(
          app,
          tx,
          {
            ...inherited,
            owner,
            source: { ...source, ...(node && { node }), volumes },
            dataThen,
            name,
            displayName: undefined,
            nics,
            fields: { ...inherited.fields, ...ids, fork_id: fork },
            affinities: [],
            start: true,
            withPassword: !isInstant && (source.image?.password_enabled ?? false),
            where: isInstant ? { host: vm.host_id ?? vm.last_host_id ?? undefined } : {},
            cloneType,
          },
          origin,
        )
        clones.push({ vm: made.id, name: made.name, job: made.jobid })
      }
      const [first] = clones
      if (first && clones.length === 1) return { id: first.vm, jobid: first.job }
      return { jobid: await app.jobs.start(tx, cloneVms, { source: vm.id, clones }, origin) }
    })
    return written.catch(error => {
      app.spares.giveUp(spares)
      throw error
    })
  },
})
