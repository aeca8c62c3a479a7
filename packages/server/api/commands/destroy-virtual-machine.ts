import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import type { App } from '../../app.ts'
import { destroyVm } from '../../jobs/destroy-vm.ts'
import { expungeVm } from '../../jobs/expunge-vm.ts'
import { demandUnprotected, volumesOf } from '../../store/volumes.ts'
import { jobCommand } from '../command.ts'
import { demandMayExpunge } from '../expunging.ts'
import { flag, id, invalid, list } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const destroyVirtualMachine = jobCommand({
  name: 'destroyVirtualMachine',
  description:
    'Destroys a virtual machine: it is stopped and set aside until expunge.delay has passed, or with expunge=true removed for good at once; one in Error is always removed at once',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    expunge: flag('remove it and its root disk for good'),
    volumeids: list('data disks that go the same way; the others are detached and stay', id<'volume'>('a volume')),
    forced: flag('cut the power instead of asking the guest to shut down'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    if (params.expunge) demandMayExpunge(app, caller, 'expunge a machine at once')
    const input = { vm: vm.id, volumes: await chosenVolumes(app, vm.id, params.volumeids ?? []) }
    if (params.expunge || vm.state === 'Error')
      return startVmJob(app, caller, 'destroyVirtualMachine', expungeVm, { ...input, evenRunning: true })
    return startVmJob(app, caller, 'destroyVirtualMachine', destroyVm, { ...input, forced: params.forced ?? false })
  },
})

/** Each must be a data disk of the machine, and may be deleted. */
async function chosenVolumes(app: App, vm: VmId, ids: readonly VolumeId[]): Promise<VolumeId[]> {
  const disks = (await volumesOf(app.db, vm)).filter(({ type }) => type === 'DATADISK')
  for (const wanted of ids) {
    const volume = disks.find(each => each.id === wanted)
    if (!volume) throw invalid('volumeids', `names ${wanted}, which is no data disk of the machine`)
    demandUnprotected(volume)
  }
  return [...ids]
}
