import { cloneTypes } from '@ramet/core/clone-type.ts'
import { holdRoom } from '../../store/limits.ts'
import { demandSizeFits } from '../../store/volume-pools.ts'
import { affinityParameters, chosenAffinityGroups } from '../affinity-groups.ts'
import { originOfCall } from '../caller.ts'
import { chosenNics, nicParameters } from '../chosen-nics.ts'
import { jobCommand } from '../command.ts'
import { dataVolumesAsked } from '../data-volumes.ts'
import { chosenDataVolume, chosenKeys, demandFreeName } from '../deployment.ts'
import { demandPossible } from '../deploy-on.ts'
import { demandOneSource, holdSource, templateSource, vmSnapshotSource } from '../deploy-source.ts'
import { detailedRootSize, keptDetails } from '../details.ts'
import { startDeployment } from '../new-deployment.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { choice, flag, id, list, long, map, text } from '../parameters.ts'
import { chosenPlace, placeParameters } from '../place.ts'
import { demandUserData, userData } from '../user-data.ts'
import { vmResult } from '../vm-call.ts'

export const deployVirtualMachine = jobCommand({
  name: 'deployVirtualMachine',
  description:
    'Makes a virtual machine from a template or a VM snapshot, as a linked or a full clone, or with an empty disk from an ISO, and starts it',
  permission: 'user',
  params: {
    ...ownerParameters,
    zoneid: id<'zone'>('the zone; with vmsnapshotid, that of the VM snapshot'),
    serviceofferingid: id<'service-offering'>(
      'CPUs and memory; with vmsnapshotid, as many CPUs as the machine had, and when absent the offering that it had',
    ),
    templateid: id<'template'>('the template; or an ISO, with diskofferingid; this or vmsnapshotid'),
    vmsnapshotid: id<'vm-snapshot'>('a VM snapshot, whose root disk the machine gets; this or templateid'),
    datavolumes: flag('with vmsnapshotid: the data volumes as it has them too, each on its own storage'),
    clonetype: choice(
      'full or linked; absent: the offering, the storage pool or the global setting decides',
      cloneTypes,
    ),
    name: text('host name, RFC 1123; made up when absent', 63),
    displayname: text('label for people; the name when absent'),
    ...nicParameters,
    diskofferingid: id<'disk-offering'>('offering of an additional data disk; with an ISO, of the root disk'),
    size: long('GiB of that data disk, where its offering leaves it open', 1, 64 * 1024),
    rootdisksize: long('GiB of the root disk, at least the template’s', 1, 64 * 1024),
    keypair: text('name of an SSH key'),
    keypairs: list('names of SSH keys', text('a name')),
    userdata: userData('base64 of cloud-init user data'),
    group: text('name of an instance group, made on demand'),
    ...affinityParameters,
    ...placeParameters,
    startvm: flag('start it at once; true when absent'),
    hypervisor: text('must be the template’s, if given'),
    details: map('what a custom offering leaves open: cpuNumber, cpuSpeed, memory; rootdisksize; the rest is kept'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    demandOneSource(params)
    const owner = await ownerOf(app, caller, params)
    const where = await chosenPlace(app, caller, params)
    const rootGib = params.rootdisksize ?? detailedRootSize(params.details)
    const data = await chosenDataVolume(app, params.diskofferingid, params.size)
    const source = params.vmsnapshotid
      ? await vmSnapshotSource(app, caller, params, { rootGib, data }, { owner, where })
      : await templateSource(app, caller, params, { rootGib, data })
    demandPossible(app, source, { where, data })
    const { zone, offering, sizes, image, volumes } = source
    const dataThen = await dataVolumesAsked(app, params, owner, source.vmSnapshot)
    const allBytes = [...volumes.map(each => each.sizeBytes), ...dataThen.map(each => each.fields.size_bytes)]
    const names = [...(params.keypairs ?? []), ...(params.keypair ? [params.keypair] : [])]
    const [nics, keys, affinities] = await Promise.all([
      chosenNics(app, caller, owner, source, params),
      chosenKeys(app, owner, names),
      chosenAffinityGroups(app, owner.id, params),
    ])
    const user_data = demandUserData(app, params.userdata)
    return app.db.transaction().execute(async tx => {
      await demandFreeName(tx, owner, params.name)
      await holdSource(tx, source)
      if (rootGib !== undefined || data.length > 0)
        for (const { sizeBytes } of volumes) await demandSizeFits(tx, { zone: zone.id }, sizeBytes)
      await holdRoom(tx, owner.id, {
        vm: 1,
        cpu: sizes.cpus,
        memory: sizes.memoryMib,
        volume: allBytes.length,
        primaryBytes: allBytes.reduce((sum, bytes) => sum + bytes, 0),
      })
      const { id: vm, jobid } = await startDeployment(
        app,
        tx,
        {
          owner,
          source,
          dataThen,
          name: params.name,
          displayName: params.displayname,
          nics,
          keys,
          fields: { user_data, details: JSON.stringify(keptDetails(params.details)) },
          group: params.group,
          affinities,
          start: params.startvm ?? true,
          withPassword: image?.password_enabled ?? false,
          where,
          cloneType: params.clonetype ?? offering.clone_type,
        },
        originOfCall(caller, 'deployVirtualMachine'),
      )
      return { id: vm, jobid }
    })
  },
})
